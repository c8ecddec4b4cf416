"""Mutation testing of what decides: python .ci/mutation.py [--again] [room ...].

mutmut writes the mutants of a room into a copy of the tree, build/mutation/ROOM: all at once, and a
variable says which of them is alive. pytest collects the tests there once; for each mutant a fork
runs those that come through its function until one fails: first those that have noticed another
mutant of the function, then each test with one set of parameters, the short ones first. A failure
counts if the same test passes right after without the mutant.

The table and the survivors are printed at the end; build/mutation/ROOM.json has what killed each,
and ROOM.txt the survivors as differences. With --again only those of the last run are tried, with
the tests of today, the new ones first, and what it has not come to.
"""

from __future__ import annotations

import ast
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from difflib import unified_diff
from importlib import import_module
from itertools import accumulate
from math import ceil
from pathlib import Path
from shutil import copy2, rmtree
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COPIES = ROOT / "build" / "mutation"
FORKS = int(os.environ.get("FORKS", "2"))

# Of revocation/: what asks nobody, what asks the database, and what ends sessions.
MEMORY = ("entries", "isolation", "marks", "memory", "reasons")
FEED = ("asking", "feed", "learning", "reader", "relay")
ENDING = ("accounts", "announcements", "ending", "health", "logins", "mending", "publishing")

# Room: (what is mutated, what must notice). Left out are tests that start processes or threads,
# measure times or sizes, or look at source and call stacks, of which a mutated module has others.
ROOMS: dict[str, tuple[list[str], list[str]]] = {
    "tokens": (
        ["django_jwtsession/tokens/*.py"],
        [
            *("tests/tokens", "--ignore=tests/tokens/test_hostile_engines.py"),
            "--ignore=tests/tokens/test_key_rotation.py",
        ],
    ),
    "policy": (
        ["django_jwtsession/policy.py", "django_jwtsession/backends/policy.py"],
        ["tests/backends/test_policy.py", "tests/backends/test_policy_function.py"],
    ),
    "rotation": (
        ["django_jwtsession/backends/rotation.py"],
        ["tests/rotation/test_judge.py"],
    ),
    "middleware": (
        ["django_jwtsession/middleware.py"],
        [
            *("tests/test_middleware.py", "tests/test_asgi.py", "tests/answers"),
            *("tests/history/test_events.py", "tests/history/test_edges.py"),
            *("tests/backends/test_undelivered_epochs.py", "tests/backends/test_epochs.py"),
            *("tests/moving", "tests/test_users_that_go.py"),
            "tests/contrib/dbsc/test_seen.py",
        ],
    ),
    "memory": (
        [f"django_jwtsession/revocation/{name}.py" for name in MEMORY],
        [
            f"tests/revocation/test_{name}.py"
            for name in ("memory", "marks", "isolation", "reasons")
        ],
    ),
    "feed": (
        [f"django_jwtsession/revocation/{name}.py" for name in FEED],
        ["tests/revocation", "tests/backends/test_epochs.py"],
    ),
    "ending": (
        [f"django_jwtsession/revocation/{name}.py" for name in ENDING],
        [
            *("tests/revocation", "tests/test_users_that_go.py", "tests/pages/test_sessions.py"),
            *("tests/backends/test_policy_function.py", "tests/rotation/test_scenarios.py"),
            *("tests/history/test_events.py", "tests/management/test_incident.py"),
            "tests/pages/test_list_across_epochs.py",
        ],
    ),
}
LEFT_OUT = (
    "not other_processes and not forty_bytes and not ten_microseconds"
    " and not any_value and not any_authentic"
)
NO_TEST = "no test"
SURVIVED = "survived"
# A sample: each third mutant, say.
EVERY = int(os.environ.get("EVERY", "1"))
# Seconds that a test may wait for something, however busy the machine is.
PATIENCE = 4
# Seconds of tests that a mutant gets at most.
ENOUGH = float(os.environ.get("ENOUGH", "4"))


# --- the copy ------------------------------------------------------------------------------------


def copy_tree(room: Path) -> None:
    """Copy what git knows, or would."""
    rmtree(room, ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, room / name
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            copy2(source, target)


def tests_in(room: Path) -> set[str]:
    """Return the names of the tests that the last run had."""
    files = room.glob("tests/**/test_*.py")
    return {
        name for path in files for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
    }


def paths_of(name: str) -> list[Path]:
    return sorted(path for pattern in ROOMS[name][0] for path in Path().glob(pattern))


def mutate(paths: list[Path]) -> dict[str, str]:
    """Write the mutants into the working directory; return the file of each by its name."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    with open("setup.cfg", "a") as file:
        file.write("\n[mutmut]\nsource_paths = django_jwtsession\n")
    found = {}
    for path in paths:
        mutated = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
        path.write_text(mutated.code, encoding="utf-8")
        found |= {get_mutant_name(path, name): str(path) for name in mutated.mutant_names}
    return found


def differences(mutants: list[str], files: dict[str, str]) -> Iterator[str]:
    """Yield what each mutant changes, by the line."""
    lines = {path: Path(path).read_text(encoding="utf-8").splitlines() for path in files.values()}
    functions = {
        (path, node.name): lines[path][node.lineno - 1 : node.end_lineno]
        for path in lines
        for node in ast.walk(ast.parse("\n".join(lines[path])))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for mutant in mutants:
        path, name = files[mutant], mutant.rpartition(".")[2]
        original = f"{_function(name)}__mutmut_orig"
        before = functions[path, original]
        after = [line.replace(name, original) for line in functions[path, name]]
        yield "\n".join(unified_diff(before, after, path, mutant, lineterm="", n=1))


# --- the tests, within pytest --------------------------------------------------------------------


Looked = tuple[dict[str, list[str]], dict[str, float], list[str], list[str]]


class Loop:
    """In the place of pytest's own loop over the tests."""

    def __init__(
        self, mutants: list[str], known: dict[str, str], memory: Path, old: set[str]
    ) -> None:
        self.mutants = mutants
        self.old = old
        self.results = known
        self.memory = memory
        self.failures: list[str] = []
        # Of each function: which tests have killed how many of its mutants.
        self.killers: dict[str, Counter[str]] = defaultdict(Counter)
        for mutant, test in known.items():
            self.killers[_function(mutant)][test] += 1

    def save(self) -> None:
        self.memory.write_text(json.dumps(self.results, indent=1, sort_keys=True))

    def pytest_runtestloop(self, session: Any) -> bool:
        import hypothesis

        items = session.items
        # An example that fails is enough, no smaller one is looked for.
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile(
            "mutation", hypothesis.settings.get_profile("ci"), phases=phases
        )
        hypothesis.settings.load_profile("mutation")
        _set("")
        # The database is made here, and every fork has it; no test has started a thread by then.
        first = next((item for item in items if "django_db_setup" in item.fixturenames), items[0])
        self._passes(first)
        covered, times, broken, modules = self._look(items)
        for name in modules:  # or every fork would import them anew
            with suppress(Exception):
                import_module(name)
        for name in broken:
            print(f"\nleft out, fails without a mutant: {name}")
        by_name = {item.nodeid: item for item in items if item.nodeid not in broken}
        tests = {
            function: _each_once([name for name in names if name in by_name], times)
            for function, names in covered.items()
        }
        print(f"\n{len(by_name)} tests, {sum(times.values()):.0f} s", file=sys.stderr, flush=True)
        order = sorted(self.mutants, key=lambda m: len(tests.get(_function(m), ())))
        running: dict[int, tuple[str, float, int]] = {}
        for count, mutant in enumerate(order):
            names = self._enough(mutant, tests.get(_function(mutant), []), times)
            if not names:
                self.results[mutant] = NO_TEST
                continue
            while len(running) >= FORKS:
                self._collect(running)
            chosen = [(by_name[name], times[name]) for name in names]
            limit = ceil(3 + 3 * sum(times[name] for name in names))
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reader)
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
                self._try(mutant, chosen, writer)
            os.close(writer)
            running[pid] = mutant, time.monotonic() + 20 + 5 * limit, reader
            if count % 20 == 0:
                self.save()
                survived = sum(result == SURVIVED for result in self.results.values())
                print(
                    f"\n{count} of {len(order)}, {survived} survived", file=sys.stderr, flush=True
                )
        while running:
            self._collect(running)
        return True

    def _enough(self, mutant: str, names: list[str], times: dict[str, float]) -> list[str]:
        """Return tests for a mutant: new ones, those that have killed its like, then the others."""
        killed = self.killers[_function(mutant)]
        names = sorted(names, key=lambda name: (_test(name) in self.old, -killed[name]))
        return names[: bisect_right(list(accumulate(times[name] for name in names)), ENOUGH)]

    def _look(self, items: list[Any]) -> Looked:
        """Run all tests: those of each function, their times, those that fail, what they import."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            from mutmut.state import state

            _set("stats")
            covered: dict[str, list[str]] = {}
            times: dict[str, float] = {}
            broken = []
            for item in items:
                state()._stats.clear()
                start = time.process_time()
                if not self._passes(item):
                    broken.append(item.nodeid)
                    print(self.failures[0][-1500:], file=sys.stderr)
                times[item.nodeid] = time.process_time() - start
                for function in state()._stats:
                    covered.setdefault(function, []).append(item.nodeid)
            with os.fdopen(writer, "w") as file:
                json.dump([covered, times, broken, list(sys.modules)], file)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            found: Looked = json.load(file)
        os.waitpid(pid, 0)
        return found

    def _try(self, mutant: str, items: list[tuple[Any, float]], writer: int) -> None:
        for item, seconds in items:
            signal.alarm(PATIENCE + ceil(20 * seconds))  # the fork ends, which is a time-out
            _set(mutant)
            if self._passes(item):
                continue
            _set("")
            if self._passes(item):
                os.write(writer, item.nodeid.encode())
                os._exit(1)
        os._exit(0)

    def _passes(self, item: Any) -> bool:
        from _pytest.runner import runtestprotocol

        # Of what a test has set up, all but the session's goes: the database stays.
        reports = runtestprotocol(item, log=False, nextitem=item.session)
        self.failures = [report.longreprtext for report in reports if report.failed]
        return not self.failures

    def _collect(self, running: dict[int, tuple[str, float, int]]) -> None:
        """Wait for one of the forks, and end those that wait for something themselves."""
        while True:
            for pid, (mutant, end, reader) in list(running.items()):
                if time.monotonic() > end:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    del running[pid]
                    with os.fdopen(reader) as file:
                        test = file.read()
                    code = os.waitstatus_to_exitcode(status)
                    self.results[mutant] = SURVIVED if code == 0 else test or f"time-out ({code})"
                    self.killers[_function(mutant)][test] += 1
                    return
            time.sleep(0.005)


def _function(mutant: str) -> str:
    return mutant.partition("__mutmut_")[0]


def _test(name: str) -> str:
    """Return the name of a test's function."""
    return name.partition("[")[0].rpartition("::")[2]


def _each_once(names: list[str], times: dict[str, float]) -> list[str]:
    """Sort tests by their time, but none comes a second time, with other parameters, before all."""
    seen: Counter[str] = Counter()
    rounds = {}
    for name in sorted(names, key=times.__getitem__):
        test = _test(name)
        rounds[name] = seen[test]
        seen[test] += 1
    return sorted(names, key=lambda name: (rounds[name], times[name]))


def _set(mutant: str) -> None:
    from mutmut.mutation.trampoline import set_mutant_under_test

    set_mutant_under_test(mutant)


# --- a room --------------------------------------------------------------------------------------


def run(name: str, again: bool) -> dict[str, str]:
    """Try the mutants of a room in this process; return what killed each."""
    import pytest

    tests = ROOMS[name][1]
    room, memory = COPIES / name, COPIES / f"{name}.json"
    old = tests_in(room) if again else set()
    copy_tree(room)
    os.chdir(room)
    files = dict(list(mutate(paths_of(name)).items())[::EVERY])
    known = json.loads(memory.read_text()) if again and memory.exists() else {}
    known = {mutant: result for mutant, result in known.items() if mutant in files}
    todo = [mutant for mutant in files if known.get(mutant, SURVIVED) in (SURVIVED, NO_TEST)]
    loop = Loop(todo, known, memory, old)
    sys.path.insert(0, str(room))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=native", "--assert=plain"]
    marks = ["-m", "not processes and not packaging", "-k", LEFT_OUT, "--no-migrations"]
    pytest.main([f"--rootdir={room}", *options, *marks, *tests], plugins=[loop])
    loop.save()
    left = sorted(mutant for mutant, what in loop.results.items() if what in (SURVIVED, NO_TEST))
    diffs = [
        f"{loop.results[m]}\n{diff}\n"
        for m, diff in zip(left, differences(left, files), strict=True)
    ]
    (COPIES / f"{name}.txt").write_text("\n".join(diffs), encoding="utf-8")
    return loop.results


def main(*arguments: str) -> None:
    chosen = [name for name in arguments if not name.startswith("--")]
    if "--here" in arguments:
        run(chosen[0], "--again" in arguments)
        return
    for name in chosen or ROOMS:
        options = [argument for argument in arguments if argument.startswith("--")]
        command = [sys.executable, __file__, "--here", *options, name]
        subprocess.run(command, check=True)
    print(f"{'room':12}{'mutants':>9}{'killed':>9}{'survived':>10}{'per cent':>10}")
    for name in chosen or ROOMS:
        results = json.loads((COPIES / f"{name}.json").read_text()).values()
        left = sum(result in (SURVIVED, NO_TEST) for result in results)
        killed = len(results) - left
        print(f"{name:12}{len(results):9}{killed:9}{left:10}{100 * killed / len(results):10.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
