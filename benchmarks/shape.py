"""The shape of the package: sizes, arrows between modules, and the files that a request enters.

python -m benchmarks.shape    (or: make shape)
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from types import FrameType
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent / "django_jwtsession"
_LEFT_OUT = ("migrations", "locale")
Node = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Sized:
    """A class, function or file, and its number of lines."""

    name: str
    lines: int


@dataclass(frozen=True)
class Module:
    """A file of the package: its name with dots, its syntax, and its number of lines."""

    name: str
    tree: ast.Module
    lines: int
    is_package: bool

    def defined(self, kind: type[Any] | tuple[type[Any], ...]) -> list[Sized]:
        """Return the classes or functions of this file, the inner ones included."""
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, kind)]
        return [Sized(f"{self.name}.{node.name}", _length(node)) for node in nodes]


@dataclass(frozen=True)
class Shape:
    """What `make shape` prints; lists have the largest first."""

    lines: int
    files: list[Sized]
    classes: list[Sized]
    functions: list[Sized]
    inner_imports: list[str]
    cycles: list[list[str]]

    @property
    def middle_function(self) -> float:
        """The lines of the function in the middle."""
        return median(one.lines for one in self.functions)

    @property
    def long_function(self) -> float:
        """The lines that 95 of 100 functions do not pass."""
        return quantiles([one.lines for one in self.functions], n=20)[-1]


def read_shape() -> Shape:
    """Read all files of the package, without its migrations."""
    modules = list(_modules())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return Shape(
        lines=sum(module.lines for module in modules),
        files=_largest(Sized(module.name, module.lines) for module in modules),
        classes=_largest(one for module in modules for one in module.defined(ast.ClassDef)),
        functions=_largest(one for module in modules for one in module.defined(functions)),
        inner_imports=sorted(one for module in modules for one in _inner_imports(module)),
        cycles=find_cycles(_graph(modules)),
    )


def _modules() -> Iterator[Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[1] in _LEFT_OUT:
            continue
        text = path.read_text(encoding="utf-8")
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        yield Module(name, ast.parse(text), len(text.splitlines()), is_package)


def _length(node: Node) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _largest(sized: Iterator[Sized]) -> list[Sized]:
    return sorted(sized, key=lambda one: (-one.lines, one.name))


# --- arrows --------------------------------------------------------------------------------------


def _inner_imports(module: Module) -> Iterator[str]:
    """Yield which functions of a module import modules of the package."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for target in sorted(_targets(module, node)):
                yield f"{module.name}.{node.name} -> {target}"


def _targets(module: Module, tree: ast.AST) -> set[str]:
    """Return the modules of the package that a piece of a module imports when it runs."""
    found: set[str] = set()
    for node in _without_type_checking(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = module.name.split(".")
            above = above[: len(above) - node.level + module.is_package]
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {_file_of(base, alias.name) for alias in node.names}
    return found


def _without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _without_type_checking(node)


def _file_of(base: str, name: str) -> str:
    """Return the module that `from base import name` enters: `name` may be one itself."""
    path = PACKAGE.parent.joinpath(*base.split("."), name)
    is_module = path.with_suffix(".py").exists() or (path / "__init__.py").exists()
    return f"{base}.{name}" if is_module else base


def _graph(modules: list[Module]) -> dict[str, set[str]]:
    """Return who imports whom, without the two arrows that may go up (see pyproject.toml)."""
    graph = {module.name: _targets(module, module.tree) for module in modules}
    graph["django_jwtsession.models.tables"].discard("django_jwtsession.backends.db")
    graph["django_jwtsession.models.managers"].discard("django_jwtsession.revocation.ending")
    return graph


def find_cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, by whatever way round."""
    reach = {name: _reached_from(name, graph) for name in graph}
    groups = {
        tuple(sorted(other for other in reach[name] if name in reach.get(other, ())))
        for name in graph
        if name in reach[name]
    }
    return sorted(list(group) for group in groups)


def _reached_from(start: str, graph: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += graph.get(name, ())
    return found


# --- the files that a request enters -------------------------------------------------------------


@dataclass(frozen=True)
class Walk:
    """The files of the package that a call entered, in the order of their first entering."""

    files: list[str]
    changes: int


def walk(call: Callable[[], object]) -> Walk:
    """Run `call` and note each function of the package that it calls."""
    entered: list[str] = []
    root = f"{PACKAGE}{os.sep}"

    def note(frame: FrameType, event: str, arg: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(root) and entered[-1:] != [path]:
            entered.append(path)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    names = [path.removeprefix(root) for path in entered]
    return Walk(list(dict.fromkeys(names)), len(names))


def walks() -> dict[str, Walk]:
    """Return what a hybrid read inside the window and a login enter.

    Needs Django's settings with the hybrid engine, and a database with the tables. Each is done
    once before it is counted: what a process does only once is no part of it.
    """
    from django.contrib.auth import get_user_model, login
    from django.http import HttpRequest, HttpResponse
    from django.test import RequestFactory

    from django_jwtsession.middleware import SessionMiddleware
    from django_jwtsession.revocation.feed import get_feed

    user = get_user_model()._default_manager.create_user("shape", password="-")

    def enter(request: HttpRequest) -> HttpResponse:
        login(request, user, "django.contrib.auth.backends.ModelBackend")
        return HttpResponse()

    def read(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.session.get("key"))

    def visit(site: SessionMiddleware, cookie: str = "") -> str:
        request = RequestFactory(headers={"cookie": f"sessionid={cookie}"}).get("/")
        morsel = site(request).cookies.get("sessionid")
        return str(morsel.value) if morsel else cookie

    get_feed().load()  # or each look at what has ended is a query
    entrance, page = SessionMiddleware(enter), SessionMiddleware(read)
    cookie = visit(entrance)
    visit(page, cookie)
    return {"read": walk(lambda: visit(page, cookie)), "login": walk(lambda: visit(entrance))}


# --- what is printed -----------------------------------------------------------------------------


def report(shape: Shape, found: dict[str, Walk]) -> Iterator[str]:
    """Yield the lines that `make shape` prints."""
    yield f"{len(shape.files)} files, {shape.lines} lines"
    for kind, sized in (("file", shape.files), ("class", shape.classes)):
        largest = ", ".join(f"{one.name} {one.lines}" for one in sized[:5])
        yield f"largest {kind}: {largest}"
    yield f"functions: {shape.middle_function:g} lines in the middle, p95 {shape.long_function:g}"
    yield f"imports inside functions: {len(shape.inner_imports)}"
    yield from (f"    {one}" for one in shape.inner_imports)
    yield f"cycles: {len(shape.cycles)}"
    yield from (f"    {' '.join(group)}" for group in shape.cycles)
    for name, one in found.items():
        yield f"{name}: enters {len(one.files)} files, {one.changes} changes of file"
        yield f"    {' '.join(one.files)}"


def main() -> None:
    """Print the shape of the tree that this file stands in."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django
    from django.core.management import call_command
    from django.test.utils import override_settings, setup_test_environment

    django.setup()
    setup_test_environment()
    call_command("migrate", verbosity=0)
    with override_settings(SESSION_ENGINE="django_jwtsession.backends.hybrid"):
        found = walks()
    print("\n".join(report(read_shape(), found)))


if __name__ == "__main__":
    main()
