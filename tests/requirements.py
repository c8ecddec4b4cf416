"""What standards ask, and the tests that hold it: the table in docs/security.md.

Tests carry `@pytest.mark.requirement("ASVS 7.2.4", ..)`; `python -m tests.requirements` writes the
table from them.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "security.md"
_TABLE = re.compile(r"(?<=<!-- requirements -->\n).*?(?=<!-- end of requirements -->)", re.DOTALL)

# Sections of the RFCs, in our words; those of ASVS are in django_jwtsession/management/audit/.
RFCS = {
    "RFC 8725 3.1": "The algorithm is checked against what the key is for",
    "RFC 8725 3.2": "No weak algorithm, no random number that a signature depends on",
    "RFC 8725 3.3": "Every part of a token is verified; one that fails refuses it whole",
    "RFC 8725 3.4": "What comes in is checked before any cryptography",
    "RFC 8725 3.5": "Keys cannot be guessed",
    "RFC 8725 3.6": "Nothing is compressed before it is encrypted, unless the site says so",
    "RFC 8725 3.7": "UTF-8, and no other encoding",
    "RFC 8725 3.8": "The issuer and the subject are checked",
    "RFC 8725 3.9": "The audience is checked",
    "RFC 8725 3.10": "No claim of a header chooses a key, an address or a query",
    "RFC 8725 3.11": "Tokens say their type, and no other is taken",
    "RFC 8725 3.12": "Tokens for one use are taken for no other",
    "RFC 6265bis 4.1.2.2": "Max-Age is a whole number",
    "RFC 6265bis 4.1.3": "A cookie keeps what the prefix of its name promises",
    "RFC 6265bis 5.6": "Name and value have 4096 bytes at most",
    "RFC 6265bis 8.2": "A request of another site does nothing, though the cookie comes along",
    "RFC 6265bis 8.4": "A session that somebody planted is not the one after the login",
    "RFC 6265bis 8.5": "Nobody on the way, in a cache or at another port reads what a cookie holds",
    "RFC 6265bis 8.6": "A cookie that another host has set harms nothing",
    "RFC 9700 4.7": "Forms of other sites are refused",
    "RFC 9700 4.9": "Who reads or writes what the server stores gets no session",
    "RFC 9700 4.10.2": "A token is good at the place it was made for, and nowhere else",
    "RFC 9700 4.11": "No page leads to another site",
    "RFC 9700 4.14.2": "Tokens are rotated; one that was replaced ends the session of both",
}

Found = dict[str, list[str]]


def marked() -> Found:
    """Return the tests of each requirement, as `path::name`, in the order of files and lines."""
    found: Found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test, names in _tests(path):
            for name in names:
                found[name].append(f"{path.relative_to(ROOT).as_posix()}::{test}")
    return found


def _tests(path: Path) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, [name for each in node.decorator_list for name in _names(each)]


def _names(decorator: ast.expr) -> list[str]:
    if not isinstance(decorator, ast.Call):
        return []
    is_ours = ast.unparse(decorator.func) == "pytest.mark.requirement"
    return [str(ast.literal_eval(argument)) for argument in decorator.args if is_ours]


def titles() -> dict[str, str]:
    """Return what each requirement asks, in the order of the table."""
    from django_jwtsession.management.audit import REQUIREMENTS

    return {f"ASVS {one.number}": one.asks for one in REQUIREMENTS} | RFCS


def table() -> str:
    """Return the table of the page."""
    found = marked()
    lines = ["", "| | Asked | Held by |", "|---|---|---|"]
    for name, asked in titles().items():
        if found.get(name):
            lines.append(f"| {name} | {asked} | {'<br>'.join(f'`{t}`' for t in found[name])} |")
    return "\n".join([*lines, "", ""])


def table_of_the_page() -> str:
    """Return the table as the page has it."""
    [written] = _TABLE.findall(PAGE.read_text(encoding="utf-8"))
    return str(written)


def main() -> None:
    """Write the table into the page."""
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: table(), text), encoding="utf-8")


if __name__ == "__main__":
    main()
