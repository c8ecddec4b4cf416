"""The benchmark's own machinery: a short run on SQLite, ratios, and what it writes into docs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import pages, report
from benchmarks.load import SESSIONS
from benchmarks.project import ENGINES
from benchmarks.worker import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent


def rounds(*added: float) -> report.Rounds:
    return [{"base": 100.0, "engine": 100.0 + value, "n": 10} for value in added]


@pytest.fixture
def found() -> dict[str, Any]:
    """What a run of three rounds might have found."""
    blocks = {
        scenario: {name: rounds(*(place * x for x in (9, 10, 11))) for place, name in order}
        for scenario in SCENARIOS
        for order in [list(enumerate(ENGINES))]
    }
    load = [{"rate": 900.0, "p50": 60.0, "p99": 200.0, "errors": 0, "lost": 1}] * 3
    cost = {"queries": 1.0, "set_cookie": 144.0, "cookie": 52.0}
    return {
        "python": "3.13.0",
        "packages": {"Django": "6.1.3", "psycopg": "3.3.9"},
        "processors": 2,
        "load_average": 0.1,
        "database": "postgresql",
        "clock": "wall",
        "blocks": {"wsgi": blocks, "asgi": blocks},
        "costs": {"db": dict.fromkeys(SCENARIOS, cost)},
        "loads": {"wsgi": {name: {"none": load, "hybrid": load} for name in SESSIONS}},
    }


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    page = f"# Performance\n\n{pages.BEGIN}old\n{pages.END}\nWhat to choose\n"
    (tmp_path / "performance.md").write_text(page)
    return tmp_path


@pytest.mark.processes
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_short_run_measures_each_scenario(tmp_path: Path, interface: str) -> None:
    command = [sys.executable, "-m", "benchmarks.engines", "--interfaces", interface]
    command += ["--only", "none,hybrid", "--rounds", "2", "--seconds", "0.01", "--http-rounds", "0"]
    command += ["--database", f"sqlite://{tmp_path}/db.sqlite3", "--json", f"{tmp_path}/found.json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    for scenario in SCENARIOS:
        block, _ = found["blocks"][interface][scenario]["hybrid"]
        assert block["n"] >= 8
        assert block["base"] > 0
    if interface == "wsgi":
        costs = found["costs"]["hybrid"]
        assert costs["read"]["queries"] == 0
        assert costs["write"]["queries"] == 2  # who writes reads the row first
        assert costs["user"]["queries"] == 1  # logins and logouts were another visitor's
    assert "none (A/A: the noise)" in run.stdout


def test_ratio_is_taken_within_each_round() -> None:
    goal = next(goal for goal in report.GOALS if goal.name == "db read / django db")
    # A slow minute: both of the second round took ten times as long.
    blocks = {"read": {"db": rounds(10, 100, 12), "django db": rounds(40, 400, 48)}}
    spread, against = report.ratio(blocks, goal)  # type: ignore[misc]
    assert spread == (0.25, 0.25, 0.25)
    assert against == "django db"


def test_best_peer_is_one_that_can_revoke() -> None:
    goal = report.GOALS[-1]
    mix = {"hybrid": rounds(30), "django signed_cookies": rounds(50), "django cache": rounds(60)}
    _, against = report.ratio({"mix": {**mix, "django db": rounds(90)}}, goal)  # type: ignore[misc]
    assert against == "django cache"


def test_ratio_of_what_was_not_measured_is_none() -> None:
    assert report.ratio({"read": {"db": rounds(1)}}, report.GOALS[4]) is None


def test_noise_is_the_widest_of_the_control() -> None:
    blocks = {"read": {"none": rounds(-4, -3, 1)}, "write": {"none": rounds(1, 2, 3)}}
    assert report.noise(blocks) == (3, 1.25)


def test_tables_name_each_engine(found: dict[str, Any]) -> None:
    text = report.tables(found)
    for name in ENGINES:
        assert f"\n{name}" in text
    assert "gunicorn, gthread" in text


def test_page_keeps_what_is_around_the_markers(found: dict[str, Any], docs: Path) -> None:
    pages.write(found, docs)
    once = (docs / "performance.md").read_text()
    assert once.startswith(f"# Performance\n\n{pages.BEGIN}")
    assert once.endswith(f"{pages.END}\nWhat to choose\n")
    assert "| hybrid | 40 ± 2 |" in once
    assert "old" not in once
    pages.write(found, docs)
    assert (docs / "performance.md").read_text() == once


def test_page_without_markers_is_left_alone(found: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "performance.md").write_text("# Performance\n")
    with pytest.raises(SystemExit, match="make bench: begin"):
        pages.write(found, tmp_path)
    assert (tmp_path / "performance.md").read_text() == "# Performance\n"


def test_lost_sessions_count_as_errors(found: dict[str, Any]) -> None:
    load = found["loads"]["wsgi"]["one session"]["hybrid"]
    assert report.load_numbers(load)[3] == 3


def test_plots_are_small_and_show_each_engine(found: dict[str, Any], docs: Path) -> None:
    pages.write(found, docs)
    assert {plot.name for plot in (docs / "plots").iterdir()} == {
        "wsgi.svg",
        "asgi.svg",
        "http.svg",
    }
    for plot in (docs / "plots").iterdir():
        assert plot.stat().st_size < 30_000
        ElementTree.fromstring(plot.read_text())
    text = (docs / "plots" / "wsgi.svg").read_text()
    assert "none" not in text
    for name in ENGINES:
        assert name == "none" or f">{name}" in text


def test_markers_are_in_the_real_page() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    assert page.count(pages.BEGIN) == page.count(pages.END) == 1
