"""How far back a process looks, and what it has read lately: by its own clock alone."""

from __future__ import annotations

import math

import pytest

from django_jwtsession.revocation.entries import FOR_GOOD, Line, as_number, pack, unpack
from django_jwtsession.revocation.marks import (
    LONG_LOOK_BACK,
    LOOK_BACK,
    MARGIN,
    Marks,
    RecentLines,
)

NOW = 5000.0
MADE = 1_700_000_000.0


def line(pk: int, *, name: str = "sid", made: float = MADE, epoch: int | None = None) -> Line:
    return Line(pk, "s", name, epoch, None, "", "revoked", made + 3600, made)


def noted(*marks: tuple[float, int]) -> Marks:
    """Return marks of a table that was empty at first."""
    found = Marks()
    found.begin(NOW - 5000, [])
    for now, newest in marks:
        found.note(now, newest)
    return found


def test_empty_table_is_looked_at_from_its_beginning() -> None:
    marks = Marks()
    assert marks.newest == 0
    assert marks.since(NOW, LOOK_BACK) == 0
    marks.begin(NOW, [])
    assert marks.newest == 0
    assert marks.since(NOW, LONG_LOOK_BACK) == 0


@pytest.mark.parametrize(("age", "key"), [(LOOK_BACK, 9000), (LONG_LOOK_BACK, 8000)])
def test_table_that_was_not_read_before_is_looked_at_by_the_clock_of_its_lines(
    age: float, key: int
) -> None:
    ages = {9100: 0.0, 9000: LOOK_BACK, 8999: LOOK_BACK + 1, 8000: LONG_LOOK_BACK, 7999: 901.0}
    marks = Marks()
    marks.begin(NOW, [(pk, MADE - old) for pk, old in ages.items()])
    assert marks.newest == 9100
    assert marks.since(NOW, age) == key - MARGIN


def test_table_that_is_read_anew_forgets_what_was_noted() -> None:
    marks = noted((NOW - 5, 9999))
    marks.begin(NOW, [(100, MADE)])
    assert marks.newest == 100
    assert marks.since(NOW, LOOK_BACK) == 100 - MARGIN


def test_everything_above_what_was_the_newest_so_long_ago_is_looked_at() -> None:
    marks = noted((NOW - 20, 1000), (NOW - 10, 2000), (NOW - 9, 3000), (NOW, 4000))
    assert marks.newest == 4000
    assert marks.since(NOW, 10) == 2000 - MARGIN
    assert marks.since(NOW, 10.5) == 1000 - MARGIN
    assert marks.since(NOW, 0) == 4000 - MARGIN
    assert marks.since(NOW, 21) == 0


def test_key_that_is_no_newer_is_not_noted() -> None:
    marks = noted((NOW - 20, 1000), (NOW - 10, 1000), (NOW - 5, 900))
    assert marks.newest == 1000
    assert marks.since(NOW, 15) == 1000 - MARGIN
    assert len(marks._marks) == 2


def test_marks_of_a_quarter_of_an_hour_ago_are_forgotten_but_the_last() -> None:
    marks = noted(*((NOW + second, 1000 + second) for second in range(3000)))
    assert len(marks._marks) == LONG_LOOK_BACK + 1
    assert marks.since(NOW + 2999, LONG_LOOK_BACK) == 1000 + 2999 - LONG_LOOK_BACK - MARGIN
    marks.note(NOW + 9000, 9000)
    assert marks.since(NOW + 9000, LONG_LOOK_BACK) == 1000 + 2999 - MARGIN
    marks.note(NOW + 18000, 9000)
    assert len(marks._marks) == 1


def test_who_began_before_the_oldest_mark_looks_back_to_that() -> None:
    """And not at the whole table: another thread has noted meanwhile what it found."""
    marks = noted((NOW, 1000), (NOW + LONG_LOOK_BACK, 2000))
    assert marks.since(NOW - 1, LOOK_BACK) == 1000 - MARGIN


def test_lines_that_were_read_are_known_by_key_and_moment_for_a_quarter_of_an_hour() -> None:
    recent = RecentLines()
    recent.add(NOW, [line(7), line(5), line(6, made=MADE + 1)], 0)
    recent.add(NOW + 1, [], 9)
    recent.add(NOW + 2, [line(8)], 9)
    assert recent.keys_above(5) == {(6, MADE + 1), (7, MADE), (8, MADE)}
    assert recent.keys_above(4) == {(5, MADE), (6, MADE + 1), (7, MADE), (8, MADE)}
    assert recent.keys_above(8) == set()
    kept = LONG_LOOK_BACK + LOOK_BACK
    recent.add(NOW + kept, [], 9)
    assert len(recent.keys_above(0)) == 4
    recent.add(NOW + kept + 1, [], 7)
    assert recent.keys_above(0) == {(8, MADE)}
    recent.add(NOW + 2 * kept, [], 8)
    assert recent.keys_above(0) == set()


def test_lines_that_are_looked_at_still_are_known_however_old_they_are() -> None:
    recent, later = RecentLines(), NOW + 9000
    recent.add(NOW, [line(7), line(5), line(6, made=MADE + 1)], 0)
    recent.add(NOW + 1, [line(8)], 0)
    recent.add(later, [], 4)
    assert len(recent.keys_above(0)) == 4
    recent.add(later, [], 5)
    assert recent.keys_above(0) == {(6, MADE + 1), (7, MADE), (8, MADE)}
    assert recent.missing(5, {(7, MADE), (8, MADE)}) == []  # another says the same
    recent.add(later, [line(9)], 7)
    assert recent.keys_above(0) == {(8, MADE), (9, MADE)}
    recent.add(later, [], 9)
    assert recent.keys_above(0) == {(9, MADE)}


def test_line_is_missing_where_no_other_says_the_same() -> None:
    recent = RecentLines()
    lines = [line(1, name="a"), line(2, name="b"), line(3, name="c"), line(4, name="b")]
    recent.add(NOW, lines[:2], 0)
    recent.add(NOW, lines[2:], 0)
    found = {(one.pk, one.created_at) for one in lines}
    assert recent.missing(0, found) == []
    assert recent.missing(0, found - {(1, MADE)}) == lines[:1]
    assert recent.missing(1, found - {(1, MADE)}) == []  # nobody has looked so far back
    assert recent.missing(0, found - {(2, MADE)}) == []  # the fourth says it too
    assert recent.missing(0, found - {(2, MADE), (4, MADE)}) == [lines[1], lines[3]]
    assert recent.missing(0, set()) == lines


def test_key_that_was_given_out_again_is_another_line() -> None:
    recent = RecentLines()
    recent.add(NOW, [line(1, name="a")], 0)
    assert recent.missing(0, {(1, MADE + 60)}) == [line(1, name="a")]


def test_lines_come_out_of_a_cache_as_they_went_in() -> None:
    lines = [line(1, epoch=FOR_GOOD), line(2, name="größe"), line(3)._replace(before=1.5)]
    assert unpack(pack(lines)) == lines
    assert b" " not in pack(lines)


def test_line_says_what_it_ends_whatever_its_key_reason_and_times() -> None:
    one = line(1)
    assert one._replace(pk=2, reason="user", expires_at=0.0, created_at=0.0).says == one.says
    for changed in ({"kind": "u"}, {"name": "b"}, {"epoch": 1}, {"before": 1.0}, {"keep_sid": "k"}):
        assert one._replace(**changed).says != one.says  # type: ignore[arg-type]


def test_end_for_good_is_later_than_any_epoch() -> None:
    assert as_number(FOR_GOOD) == math.inf
    assert as_number(FOR_GOOD - 1) == FOR_GOOD - 1
