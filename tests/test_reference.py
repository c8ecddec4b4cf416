"""The reference has all that the code has and nothing else; every link leads somewhere."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.dispatch import Signal

import django_jwtsession
from django_jwtsession import checks, conf, signals
from django_jwtsession.contrib.dbsc import hooks
from django_jwtsession.contrib.dbsc.conf import DEFAULTS
from django_jwtsession.management.commands.jwtsession import Command as JWTSession

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PACKAGE = Path(django_jwtsession.__file__).parent
REFERENCE = (DOCS / "reference.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
# What somebody may open on its own; index.md and changelog.md only include these.
INCLUDING = {DOCS / "index.md", DOCS / "changelog.md"}
PAGES = sorted({*DOCS.glob("*.md"), *ROOT.glob("*.md")} - INCLUDING)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def part(heading: str, page: str = REFERENCE) -> str:
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def sources() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        yield path.read_text(encoding="utf-8")


# --- all that there is, and no more ---------------------------------------------------------------


def test_checks_of_the_reference_are_those_of_the_code() -> None:
    documented = re.findall(r"`([EWI]\d{3})`", part("Checks"))
    ours = {check.id for check in checks.ALWAYS + checks.DEPLOY}
    theirs = set(re.findall(r"django_jwtsession\.([EWI]\d{3})", Path(hooks.__file__).read_text()))
    assert len(theirs) == 4
    assert sorted(documented) == sorted(ours | theirs)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each subcommand, by its name."""
    parser = JWTSession().create_parser("manage.py", "jwtsession")
    [choose] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(choose.choices)


def test_commands_of_the_reference_are_those_of_the_code() -> None:
    documented = re.findall(r"^\| `([a-z]+)", part("Commands"), re.MULTILINE)
    assert set(documented) == set(commands())


@pytest.mark.parametrize("command", sorted(commands()))
def test_options_of_the_reference_are_those_of_the_code(command: str) -> None:
    rows = re.findall(rf"^\| (`{command}\b.*?) \|", part("Commands"), re.MULTILINE)
    documented = set(re.findall(r"--[a-z-]+", " ".join(rows)))
    known = {o for a in commands()[command]._actions for o in a.option_strings}
    assert documented == {option for option in known if option.startswith("--")} - {"--help"}


def test_signals_of_the_reference_are_those_of_the_code() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", part("Signals"), re.MULTILINE)
    ours = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert set(documented) == ours


def test_loggers_of_the_monitoring_page_are_those_of_the_code() -> None:
    page = (DOCS / "monitoring.md").read_text(encoding="utf-8")
    documented = re.findall(r"logger `([\w.]+)`", page)
    ours = {name for text in sources() for name in re.findall(r'getLogger\("([\w.]+)"\)', text)}
    assert set(documented) == ours


def test_settings_of_dbsc_are_those_of_the_code() -> None:
    page = part("Two modes", (DOCS / "dbsc.md").read_text(encoding="utf-8"))
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)) == set(DEFAULTS)


def test_defaults_of_the_settings_are_those_of_the_code(settings: Any) -> None:
    settings.JWTSESSION = {}
    config = conf.get_config()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", part("Settings", README), re.MULTILINE)
    assert len(rows) == len(fields(config))
    for name, written in rows:
        default = getattr(config, name.lower())
        if days := re.fullmatch(r"(\d+) days", written):
            expected: Any = timedelta(days=int(days[1])).total_seconds()
        elif name == "KEYS":  # of other settings
            continue
        else:
            expected = ast.literal_eval(written.strip("`"))
        found = tuple(default) if isinstance(expected, list) else default
        assert found == (tuple(expected) if isinstance(expected, list) else expected), name


IMPORTED = sorted(
    {
        (module, name.strip())
        for page in [ROOT / "README.md", *DOCS.glob("*.md")]
        for module, names in re.findall(
            r"from (django_jwtsession[\w.]*) import ([\w, ]+)", page.read_text(encoding="utf-8")
        )
        for name in names.split(",")
    }
)
# Sub-modules and models; signals stand in the reference.
ELSEWHERE = {
    "Session",
    "feed",
    *(n for n, value in vars(signals).items() if isinstance(value, Signal)),
}


@pytest.mark.parametrize(("module", "name"), IMPORTED)
def test_name_that_a_page_imports_is_there_and_in_the_api(module: str, name: str) -> None:
    found = getattr(import_module(module), name)
    api = (DOCS / "api.md").read_text(encoding="utf-8")
    whole = f"automodule:: {module}\n" in api and "exceptions" in module
    assert found is not None
    assert whole or name in ELSEWHERE or re.search(rf"(?:\.|[: ]){name}\b", api)


# --- links ----------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return what may stand behind the # of a link to a page, as GitHub and MyST make it."""
    whole = page.read_text(encoding="utf-8")
    if included := re.search(r"^```\{include\} (\S+)", whole, re.MULTILINE):
        return anchors(page.parent / included[1])
    text = FENCED.sub("", whole)
    named = re.findall(r'<a id="([\w-]+)">', text)
    headings = re.findall(r"^#{1,3} (.+)$", text, re.MULTILINE)
    return {*named, *(slug(heading) for heading in headings)}


def slug(heading: str) -> str:
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for link in links:
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


# --- what a page is about -------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_page_begins_with_a_paragraph_of_words(page: Path) -> None:
    """Not with code, a table or a heading: a reader learns first what is answered here."""
    [title, first] = page.read_text(encoding="utf-8").split("\n\n")[:2]
    assert re.fullmatch(r"# .+", title), title
    assert re.match(r"[A-Z`*\[]", first), first
    assert first.rstrip().endswith((".", ":", "?")), first
    assert len(first.split()) >= 12, first
