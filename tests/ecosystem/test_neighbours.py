"""The neighbours, each in a process of its own, and the table of docs/neighbours.md.

make test-ecosystem               what is said in the table still holds
make test-ecosystem WRITE=1       writes the table
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from .sites import SITES, Site
from .tables import Table

ROOT = Path(__file__).resolve().parents[2]
TABLE = Table(
    ROOT / "docs" / "neighbours.md",
    "<!-- the table: written by make test-ecosystem -->",
    "<!-- end of the table -->",
    ("Package", "What is tested", "`hybrid`", "`db`", "Remarks"),
)
ENGINES = ("hybrid", "db")

pytestmark = pytest.mark.skipif(not os.environ.get("ECOSYSTEM"), reason="make test-ecosystem")


@dataclass(frozen=True)
class Outcome:
    """What a neighbour's tests have come to, for each engine."""

    failed: dict[str, list[str]]
    log: str

    def verdict(self, site: Site, engine: str) -> str:
        if self.failed[engine]:
            return "does not"
        return "works" if not site.line else "works with this line"


def _run(name: str, site: Site, folder: Path) -> Outcome:
    report = folder / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
    command += ["-o", "filterwarnings=ignore", f"--junit-xml={report}"]
    command += [] if site.postgresql else ["--nomigrations"]
    command.append(f"tests/ecosystem/neighbours/test_{name}.py")
    env = {**os.environ, "NEIGHBOUR": name, "DJANGO_SETTINGS_MODULE": "tests.ecosystem.settings"}
    if site.postgresql:  # a database of its own
        env["DATABASE_URL"] = env["DATABASE_URL"].rpartition("/")[0] + "/neighbours"
    for variable in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        env.pop(variable, None)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    failed: dict[str, list[str]] = {engine: [] for engine in ENGINES}
    if done.returncode not in (0, 1) or not report.exists():
        failed = {engine: ["the tests did not run"] for engine in ENGINES}
    else:
        for case in ET.parse(report).iter("testcase"):
            engine = next((one for one in ENGINES if f"[{one}" in case.get("name", "")), None)
            if case.find("failure") is not None or case.find("error") is not None:
                for each in [engine] if engine else ENGINES:
                    failed[each].append(case.get("name", ""))
    return Outcome(failed, done.stdout[-6000:] + done.stderr[-2000:])


def _is_here(site: Site) -> bool:
    """Tell whether the neighbour can run: it is installed, on the database that it needs."""
    try:
        version(site.package)
    except PackageNotFoundError:
        return False
    return not site.postgresql or os.environ.get("DATABASE_URL", "").startswith("postgres")


def _row(name: str, site: Site, outcome: Outcome) -> str:
    verdicts = " | ".join(outcome.verdict(site, engine) for engine in ENGINES)
    words = ". ".join(part for part in (site.line, site.note.rstrip(".")) if part)
    return (
        f'| <a id="{name}"></a>{site.package} {version(site.package)} | {site.what} | {verdicts}'
        f" | {words + '.' if words else ''} |"
    )


def _without_version(row: str) -> str:
    return re.sub(r"(</a>[\w-]+) [\w.]+", r"\1", row)


@pytest.mark.parametrize("name", SITES)
def test_neighbour_does_what_the_table_says(name: str, tmp_path: Path) -> None:
    site = SITES[name]
    if not _is_here(site):
        pytest.skip(f"{site.package} cannot run here")
    outcome = _run(name, site, tmp_path)
    row = _row(name, site, outcome)
    if os.environ.get("WRITE"):
        TABLE.write(name, row, SITES)
    assert _without_version(TABLE.rows().get(name, "")) == _without_version(row), outcome.log
    assert not any(outcome.failed.values()), outcome.log


def test_table_has_a_row_for_each_neighbour() -> None:
    assert list(TABLE.rows()) == list(SITES)
