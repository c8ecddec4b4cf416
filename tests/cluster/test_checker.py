"""The checker itself: each breach is found, and what is allowed is none."""

from __future__ import annotations

from typing import Any

import pytest

from . import report
from .record import End, Fault, Issue, Record, Seen, Write, problems

SID, USER = "s" * 22, "7"


def record(*happened: Any) -> Record:
    found = Record()
    found.note(Issue(SID, USER, 0.0), *happened)
    return found


def seen(at: float, user: str | None = USER, app: int = 0, status: int = 200, **more: Any) -> Seen:
    data = more.pop("data", {})
    return Seen(SID, app, at, at + 0.1, status, user, data, **more)


def write(at: float, key: str = "k", status: int = 200) -> Write:
    return Write(SID, key, SID + key, 0, at, at + 0.1, status)


def end(at: float, status: int = 200) -> End:
    return End(SID, 0, at, at + 0.1, status)


def fault(start: float, finish: float, app: int = 0) -> Fault:
    return Fault(frozenset({app}), start, finish)


@pytest.mark.parametrize(
    ("happened", "told"),
    [
        ((end(1), seen(4)), "was ended and answers"),
        ((end(1), seen(9), fault(2, 3)), "was ended and answers"),
        ((seen(1, None),), "is nobody"),
        ((seen(1, "8"),), "and was 8"),
        ((seen(1, data={"k": "another's"}),), "not its own"),
        ((write(1), seen(2, is_true=True)), "is lost"),
        ((seen(1, None, status=500),), "status 500"),
        ((write(1, status=500),), "status 500"),
        ((write(1, status=500), fault(0, 9, app=1)), "status 500"),
        ((seen(1, None, status=0),), "status 0"),
    ],
)
def test_breach_is_found(happened: tuple[Any, ...], told: str) -> None:
    found = problems(record(*happened), known_within=2, hold=3)
    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize(
    "happened",
    [
        (end(1), seen(2.9), seen(5, None)),
        (end(1, status=500), seen(9), fault(1, 2)),
        (end(1), seen(6.5), fault(2, 9)),  # holds for 3 s, known 2 s later
        (end(1), seen(0.5, None, status=500), fault(0, 1)),
        (end(1), seen(1.05, None)),  # while the end was under way
        (write(1), seen(1.05, is_true=True)),
        (write(1, status=400), write(1, status=500), fault(0, 2), seen(2, is_true=True)),
        (write(1), seen(2)),  # a copy may be as old as its window
        (write(1), seen(2, data={"k": SID + "k"}, is_true=True)),
    ],
)
def test_what_was_never_promised_is_no_breach(happened: tuple[Any, ...]) -> None:
    assert problems(record(*happened), known_within=2, hold=3) == []


def test_false_alarm_of_theft_is_a_breach() -> None:
    found = record()
    found.thefts = 2
    assert problems(found, 2) == ["2 false alarms of theft"]


def test_report_is_a_row_of_the_page_for_each_run_and_keeps_the_others() -> None:
    ran = {"run": "two", "logins": 1200, "reads": 3, "writes": 5, "acknowledged": 4, "ends": 1}
    ran |= {"statuses": {"200": 7, "500": 1}, "last_seen_after_end": 0.5}
    breaches = report.kinds(["s: k, written at app 0, is lost", "s has not ended, and is nobody"])
    page = f"before\n\n{report._HEAD}| one | 1 |\n| two | old |\n\nafter\n"
    rows = (
        "| one | 1 |\n| two | 1,200 | 3 | 5, 4 | 1 | 1 | 0.5 s | 1 false logouts, 1 lost writes |"
    )
    found = report.renewed(page, [ran | {"breaches": breaches}])
    assert found == f"before\n\n{report._HEAD}{rows}\n\nafter\n"


def test_page_of_the_docs_has_the_table_that_the_report_renews() -> None:
    page = report.PAGE.read_text()
    assert report.renewed(page, []) == page
    for run in ("Django's `db`", "Django's `cached_db`"):
        assert f"as a control: {run}" in page
