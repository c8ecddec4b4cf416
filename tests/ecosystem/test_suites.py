"""The neighbours' own suites, from their sdists, with our engines in the place of Django's.

make test-suites                  what is said in the table still holds
make test-suites WRITE=1          writes the table
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from .suites.sites import SUITES, Suite
from .tables import Table

ROOT = Path(__file__).resolve().parents[2]
TABLE = Table(
    ROOT / "docs" / "neighbours.md",
    "<!-- their suites: written by make test-suites -->",
    "<!-- end of their suites -->",
    (
        "Suite",
        "Tests",
        "Fail with Django's `db`",
        "Only with `hybrid`",
        "Only with `db`",
        "Only with a `hybrid` that forgets",
        "Why",
    ),
)
STOCK, OURS = "stock", ("hybrid", "db", "forgetful")

pytestmark = pytest.mark.skipif(not os.environ.get("SUITES"), reason="make test-suites")


@dataclass(frozen=True)
class Outcome:
    """How many tests ran with an engine, and which of them failed."""

    count: int
    failed: frozenset[str]
    log: str


def _sdist(package: str) -> Path:
    """Return the unpacked sdist of the version that is installed, downloaded once."""
    folder = ROOT / ".cache" / "suites" / f"{package}-{version(package)}"
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", package, "--dest", str(part), f"{package}=={version(package)}"]
        subprocess.run(command, check=True)
        [archive] = part.glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(part, filter="data")
        (folder.parent / "pytest.ini").touch()  # or ours is theirs, where they have none
        part.rename(folder)
    [root] = (each for each in folder.iterdir() if each.is_dir())
    return root


def _run(name: str, engine: str, folder: Path) -> Outcome:
    suite = SUITES[name]
    root = _sdist(suite.package) / suite.folder
    report = folder / f"{name}-{engine}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "exchange", "-p", "no:cacheprovider"]
    command += ["-n0", "-o", "addopts=", "-o", "filterwarnings=ignore", "--tb=short"]
    command += ["-o", "django_find_project=false"]  # it would find ours
    command += ["-o", "python_files=test*.py *tests.py", "-o", "junit_family=xunit1"]
    command += [f"--junit-xml={report}", *suite.tests]
    paths = [ROOT / "tests" / "ecosystem" / "suites", *(root / path for path in suite.paths)]
    env = {**os.environ, "SUITE": name, "SUITE_ENGINE": engine}
    env["PYTHONPATH"] = os.pathsep.join(map(str, paths))
    for variable in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        env.pop(variable, None)
    env.pop("DATABASE_URL", None)  # some read it
    env.pop("DJANGO_SETTINGS_MODULE", None)
    env |= {"DJANGO_SETTINGS_MODULE": suite.settings} if suite.settings else {}
    env |= {"SUITE_BOTH_APPS": "1"} if suite.both_apps else {}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    log = done.stdout[-20000:] + done.stderr[-2000:]
    assert done.returncode in (0, 1), log
    cases = list(ET.parse(report).iter("testcase"))
    failed = (case for case in cases if case.find("failure") is not None or _has_error(case))
    return Outcome(len(cases), frozenset(map(_title, failed)), log)


def _has_error(case: ET.Element) -> bool:
    return case.find("error") is not None


def _title(case: ET.Element) -> str:
    return f"{case.get('classname')}.{case.get('name')}"


def _row(name: str, suite: Suite, outcomes: Mapping[str, Outcome]) -> str:
    stock = outcomes[STOCK]
    only = [len(outcomes[engine].failed - stock.failed) for engine in OURS]
    title = suite.title.replace(suite.package, f"{suite.package} {version(suite.package)}", 1)
    numbers = " | ".join(f"{each:,}" for each in (stock.count, len(stock.failed), *only))
    return f'| <a id="suite_{name}"></a>{title} | {numbers} | {suite.why} |'


def _comparable(row: str) -> str:
    """Return what is to hold for the next version too: what fails with our engines alone."""
    return re.sub(r"^.*</a>([\w-]+) [\w.]+(.*?) \| [\d,]+ \| [\d,]+ \|", r"\1\2", row)


@pytest.mark.parametrize("name", SUITES)
def test_suite_fails_where_the_table_says(name: str, tmp_path: Path) -> None:
    suite = SUITES[name]
    try:
        version(suite.package)
    except PackageNotFoundError:
        pytest.skip(f"{suite.package} is not installed")
    outcomes = {engine: _run(name, engine, tmp_path) for engine in (STOCK, *OURS)}
    stock, row = outcomes[STOCK], _row(name, suite, outcomes)
    if os.environ.get("WRITE"):
        TABLE.write(f"suite_{name}", row, [f"suite_{each}" for each in SUITES])
    for engine in OURS:
        only = outcomes[engine].failed - stock.failed
        unknown = [each for each in sorted(only) if not any(map(each.count, suite.differs))]
        assert not unknown, (engine, unknown, outcomes[engine].log)
    assert _comparable(TABLE.rows().get(f"suite_{name}", "")) == _comparable(row)


def test_table_has_a_row_for_each_suite() -> None:
    assert list(TABLE.rows()) == [f"suite_{name}" for name in SUITES]
