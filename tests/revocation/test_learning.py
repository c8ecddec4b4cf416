"""How lines get into memory: what a process takes, when it looks far back, when it reads again."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_jwtsession.models import Revocation
from django_jwtsession.revocation import learning, reader
from django_jwtsession.revocation.learning import Learning

from .conftest import Line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

BEGAN = 5000.0  # by the process's own clock


def read(began: float = BEGAN) -> Learning:
    """Return what has read all lines of the table."""
    learnt = Learning()
    while not learnt.complete:
        assert learnt.read_page(began)
    return learnt


def names(lines: list[Any]) -> list[str]:
    return [line.name for line in lines]


# --- what is new ----------------------------------------------------------------------------------


def test_line_is_taken_once_and_one_of_an_open_transaction_when_it_has_committed(
    line: Line,
) -> None:
    line("old")
    learnt = read()
    pending, other = line("pending"), line("other")
    assert names(learnt.look(BEGAN + 1, {pending.pk})) == ["other"]
    assert learnt.look(BEGAN + 2, {pending.pk}) == []
    assert names(learnt.look(BEGAN + 3, set())) == ["pending"]
    assert learnt.look(BEGAN + 4, set()) == []
    assert learnt.newest == other.pk
    assert len(learnt.memory) == 3


def test_lines_that_another_thread_has_taken_meanwhile_are_not_taken_again(line: Line) -> None:
    learnt = read()
    line("one")
    lines = reader.lines_above(0)
    assert names(learnt.take(BEGAN + 1, lines)) == ["one"]
    assert learnt.take(BEGAN + 1, lines) == []
    line("two")
    assert names(learnt.take(BEGAN + 2, reader.lines_above(0))) == ["two"]
    assert len(learnt.memory) == 2


def test_nothing_new_is_one_query(line: Line) -> None:
    learnt = read()
    for look in (learnt.look, learnt.look):
        with CaptureQueriesContext(connection) as queries:
            assert look(BEGAN + 1, set()) == []
        assert len(queries) == 1


# --- looking far back -----------------------------------------------------------------------------


def test_process_without_a_cache_looks_far_back_once_a_minute(db: None) -> None:
    learnt = read()
    assert not learnt.is_long_look_due(BEGAN + 59.9, None)
    assert learnt.is_long_look_due(BEGAN + 60, None)
    learnt.look_back(BEGAN + 100, set())
    assert not learnt.is_long_look_due(BEGAN + 159.9, None)
    assert learnt.is_long_look_due(BEGAN + 160, None)


def test_process_with_a_cache_looks_far_back_in_its_turn_and_each_quarter_of_an_hour(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[tuple[float, float]] = []
    monkeypatch.setattr(
        random,
        "uniform",
        lambda *share: shares.append(share) or 0.9,  # type: ignore[func-returns-value]
    )
    turns: list[bool] = []
    relay: Any = SimpleNamespace(is_turn_of_long_look=lambda: turns.pop())
    learnt = read()
    turns += [False]
    assert not learnt.is_long_look_due(BEGAN + 60, relay)
    assert not turns
    assert not learnt.is_long_look_due(BEGAN + 119.9, relay)  # another has done it
    turns += [True]
    assert learnt.is_long_look_due(BEGAN + 120, relay)
    assert shares == [(0.8, 1)]
    learnt.look_back(BEGAN + 120, set())
    turns += [False]
    assert not learnt.is_long_look_due(BEGAN + 120 + 809.9, relay)
    assert learnt.is_long_look_due(BEGAN + 120 + 809.9 + 60.1, relay)  # whoever has the turn


def test_own_look_back_is_due_a_quarter_of_an_hour_after_all_was_read(db: None) -> None:
    relay: Any = SimpleNamespace(is_turn_of_long_look=lambda: False)
    learnt = read()
    assert not learnt.is_long_look_due(BEGAN + 839.9, relay)
    assert learnt.is_long_look_due(BEGAN + 900, relay)
    other = read()
    assert not other.is_long_look_due(BEGAN + 899.9, relay)


def test_looking_back_takes_what_came_late_and_tells_it(line: Line) -> None:
    late = line("late")
    Revocation.objects.all().delete()
    for number in range(100):
        line(f"{number}", pk=late.pk + 1 + number)
    learnt = read()
    for second in range(1, 700):
        learnt.look(BEGAN + second, set())
    line("late", pk=late.pk)
    pending = line("pending", pk=late.pk + 101)  # PostgreSQL's next key is one of those above
    assert names(learnt.look_back(BEGAN + 700, {pending.pk})) == ["late"]
    assert not learnt.loading
    assert learnt.settled


def test_lines_are_counted_but_for_those_that_end_within_five_minutes(line: Line) -> None:
    """Those a server whose clock is ahead may have cleared."""
    for kind in ("s", "u"):
        for number, lives in enumerate((299, 301, 302, 400)):
            line(f"{number}", kind=kind, lives=lives, before=1.0 if kind == "u" else None)
    learnt = read()
    learnt.look_back(BEGAN + 1000, set())
    assert not learnt.loading
    Revocation.objects.filter(name="0").delete()
    learnt.look_back(BEGAN + 2000, set())
    assert not learnt.loading


@pytest.mark.parametrize("kind", ["s", "u"])
def test_other_number_of_lines_is_read_again_once_a_quarter_of_an_hour(
    line: Line, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    line("newest", pk=1000)
    learnt = read()
    learnt.look(BEGAN + 1000, set())
    line("unseen", kind=kind, before=1.0 if kind == "u" else None, pk=1, age=5000)
    began = BEGAN + 2000
    learnt.look_back(began, set())
    assert learnt.loading
    assert not learnt.settled
    assert learnt.complete  # what is known is known
    said = "The table of ended sessions is not what was read: it is read again."
    assert caplog.messages == [said]
    learnt.read_page(began)
    assert (learnt.loading, learnt.settled, len(learnt.memory)) == (False, True, 2)
    line("unseen too", pk=2, age=5000)
    learnt.look_back(began + 899, set())
    assert not learnt.loading
    learnt.look_back(began + 900, set())
    assert learnt.loading
    assert caplog.messages == [said, said]


def test_line_of_an_open_transaction_is_not_counted(line: Line) -> None:
    line("newest", pk=1000)
    learnt = read()
    pending = line("pending", pk=999)
    learnt.look_back(BEGAN + 1000, {pending.pk})
    assert not learnt.loading


def test_newest_key_that_stays_is_no_restored_backup(line: Line) -> None:
    line("one", pk=1)
    newest = line("newest", pk=1000, lives=-1)
    learnt = read()
    learnt.look_back(BEGAN + 60, set())
    assert not learnt.loading
    Revocation.objects.filter(pk=newest.pk).delete()
    learnt.look_back(BEGAN + 120, set())
    assert learnt.loading


@pytest.mark.parametrize(("lives", "again"), [(59, False), (61, True)])
def test_what_was_lost_is_written_again_if_it_ends_in_more_than_a_minute(
    line: Line, lives: float, again: bool
) -> None:
    learnt = read()
    lost = line("lost", lives=lives)
    line("newest", lives=lives)
    learnt.look(BEGAN + 1, set())
    Revocation.objects.filter(pk=lost.pk).delete()
    learnt.look_back(BEGAN + 60, set())
    assert Revocation.objects.filter(name="lost").exists() is again


def test_expired_lines_are_forgotten_in_fifteen_looks(line: Line, clock: Any) -> None:
    for number in range(600):
        line(f"{number}", lives=10)
    line("newest", lives=86400)
    learnt = read()
    clock.shift(100)
    left = [len(learnt.memory)]
    for minute in range(15):
        learnt.look_back(BEGAN + 60 * minute, set())
        left.append(len(learnt.memory))
    assert left == sorted(left, reverse=True)
    assert (left[0], left[-1]) == (601, 1)
    assert left[1] > 500  # never many at once
    assert left[-2] > 1


# --- all of it ------------------------------------------------------------------------------------


@pytest.fixture
def pages(small_pages: None, line: Line) -> None:
    """A hundred lines that are read in pages of ten; the newest five and MARGIN come at last."""
    for number in range(100):
        line(f"{number}", pk=number + 1, age=86400 + 100 - number, lives=86400)


def test_pages_are_read_in_two_queries_each_and_none_twice(pages: None) -> None:
    learnt = Learning()
    for _ in range(20):
        with CaptureQueriesContext(connection) as queries:
            learnt.read_page(BEGAN)
        if learnt.complete:
            break
        assert len(queries) <= 2
    assert len(learnt.memory) == 100
    assert learnt.newest == 100
    assert not learnt.loading
    learnt.look_back(BEGAN + 60, set())
    assert not learnt.loading
    assert len(learnt.memory) == 100


def test_copy_is_waited_for_ten_seconds_and_made_once(pages: None) -> None:
    turns = [True, False]
    copies: list[Any] = []
    put: list[int] = []
    relay: Any = SimpleNamespace(
        copy=lambda: copies[-1] if copies else None,
        is_turn_of_copy=lambda: bool(turns) and turns.pop(0),
        rests=lambda: False,
        put_page=lambda *page: put.append(page[1]),
        put_copy=copies.append,
    )
    making, waiting = Learning(), Learning()
    assert making.read_page(BEGAN, relay)
    assert not waiting.read_page(BEGAN, relay)
    assert not waiting.read_page(BEGAN + 10, relay)
    assert waiting.read_page(BEGAN + 10.1, relay)
    while not making.complete:
        making.read_page(BEGAN, relay)
    assert put == list(range(len(put)))
    assert [(copy.pages, copy.up_to) for copy in copies] == [(len(put), 46)]
    while not waiting.complete:  # it goes on with what it has begun
        waiting.read_page(BEGAN + 11, relay)
    assert len(waiting.memory) == len(making.memory) == 100
    assert len(copies) == 1


def test_each_part_of_what_is_known_is_rid_of_the_expired_in_turn(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt, parts = read(), []
    monkeypatch.setattr(learnt.memory, "forget_before", lambda _, *part: parts.append(part))
    for minute in range(learning._PARTS + 1):
        learnt.look_back(BEGAN + 60 * minute, set())
    assert parts == [(part % learning._PARTS, learning._PARTS) for part in range(len(parts))]


def test_lines_of_an_open_transaction_and_those_that_come_meanwhile_are_not_counted(
    line: Line, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    line("old")
    learnt, counts_after = read(), reader.counts_after
    pending = {line("pending").pk, line("7", kind="u", before=1.5).pk}
    line("other")
    assert names(learnt.look(BEGAN + 1, pending)) == ["other"]

    def counts(*args: Any) -> tuple[int, int]:
        line("late")
        return counts_after(*args)

    monkeypatch.setattr(reader, "counts_after", counts)
    assert learnt.look_back(BEGAN + 60, pending) == []
    assert not caplog.messages
    assert learnt.settled
