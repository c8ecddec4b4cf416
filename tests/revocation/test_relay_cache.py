"""REVOCATION_CACHE: what stands in the cache, and what a process concludes from it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.core.cache import caches

from django_jwtsession.revocation.entries import Line, pack, unpack
from django_jwtsession.revocation.feed import Feed
from django_jwtsession.revocation.relay import Copy, Relay

from .relays import Process, line


@pytest.fixture
def pair(shared: Any, clock: Any) -> tuple[Process, Process]:
    """Two processes that have heard of each other; the turn of the first is over."""
    table: list[int] = []
    one, two = Process(table), Process(table)
    assert one.poll() == two.poll() == 0
    clock.shift(1)
    return one, two


def stands(shared: Any) -> dict[str, float]:
    """Return for how many seconds what is in the cache stays there, by its name."""
    found = {}
    for key, end in shared._expire_info.items():
        parts = re.fullmatch(r":1:django_jwtsession:feed:\w{12}:(.*)", key)
        assert parts
        found[parts[1]] = round(end - time.time())
    return found


@pytest.mark.parametrize(("interval", "turn"), [(0.2, 1), (1.0, 1), (1.5, 1), (5.0, 5)])
def test_names_and_times_of_what_stands_in_the_cache(
    shared: Any, clock: Any, interval: float, turn: int
) -> None:
    process = Process([7], "here")
    assert process.poll(interval) == 0
    chain = process.relay._ends[0]
    assert stands(shared) == {"here:pulse": 900, "here:turn": turn, f"here:after:{chain}": 900}
    shared.clear()
    process.relay.put_page("copy-1", 3, [], [])
    process.relay.put_copy(Copy("copy-1", 4, 99))
    assert process.relay.is_turn_of_copy()
    assert process.relay.is_turn_of_long_look()
    assert stands(shared) == {
        "here:copy-1:3": 600,
        "here:copy": 540,
        "here:copying": 300,
        "here:long": 60,
    }
    assert not process.relay.is_turn_of_copy()
    assert not process.relay.is_turn_of_long_look()
    assert not caches["default"]._cache  # type: ignore[attr-defined]


def test_places_know_nothing_of_each_other(shared: Any, clock: Any) -> None:
    here, there = Process([1], "here"), Process([2], "there")
    for _ in range(3):
        assert here.poll() == there.poll() == 0
        clock.shift(1)
    assert (here.known, there.known) == ([1], [2])
    assert here.relay.is_turn_of_long_look()
    assert there.relay.is_turn_of_long_look()


def test_feeds_of_two_places_make_a_copy_each(shared: Any) -> None:
    assert Feed("here")._relay.is_turn_of_copy()
    assert Feed("there")._relay.is_turn_of_copy()


def test_pages_come_out_as_they_went_in(shared: Any) -> None:
    relay = Relay("")
    assert relay.copy() is None
    copy = Copy("copy-1", 2, 99)
    relay.put_copy(copy)
    relay.put_page("copy-1", 0, [("sid", 5, 2e9)], [])
    relay.put_page("copy-1", 1, [], [line(7)])
    assert Relay("").copy() == copy
    assert Relay("").page(copy, 0) == ([["sid", 5, 2e9]], [])
    assert Relay("").page(copy, 1) == ([], [line(7)])
    assert Relay("").page(copy, 2) is None


def test_news_tells_since_when_all_is_known(pair: tuple[Process, Process], clock: Any) -> None:
    one, two = pair
    one.table.append(1)
    assert one.poll() == 0
    clock.shift(0.5)
    assert two.poll() == 1.5  # since it looked before
    assert (two.known, two.questions) == ([1], 1)
    assert two.poll() is None  # no news, and somebody's turn
    clock.shift(0.5)
    assert two.poll() == 0
    assert two.questions == 2


@pytest.mark.parametrize(
    ("asked_after", "looked_after", "age", "questions"),
    [
        (1, 1.89, 1.89, 0),  # whatever was asked, all that was there at the look before is known
        (1, 1.99, 1, 0),  # not long enough before: but its turn is not over
        (1, 2.01, 0, 1),  # the question may have been as long ago
        (1, 100, 0, 1),
        (99.5, 100, 1, 0),
    ],
)
def test_news_after_a_pause_is_an_answer_if_its_turn_is_not_over(
    pair: tuple[Process, Process],
    clock: Any,
    asked_after: float,
    looked_after: float,
    age: float,
    questions: int,
) -> None:
    asking, paused = pair
    asking.poll()
    paused.poll()
    paused.questions = 0
    clock.shift(asked_after)
    asking.table.append(1)
    assert asking.poll() == 0
    asking.table.append(2)
    clock.shift(looked_after - asked_after)
    assert paused.poll() == age
    assert paused.questions == questions
    assert paused.known == [1, 2][: 1 + questions]


def test_what_was_asked_in_the_place_of_another_reaches_all(
    pair: tuple[Process, Process], shared: Any, clock: Any
) -> None:
    one, two = pair
    one.poll()
    clock.shift(100)
    one.relay._cache.call("add", "turn", "of-a-third", 1)
    one.table.append(1)
    assert two.poll() == 0
    assert two.poll() is None  # now it is young enough
    assert two.questions == 2
    clock.shift(1)
    two.table.clear()  # gone, but it was read
    assert two.poll() == 0
    clock.shift(1.1)
    one.poll()
    assert one.known == [1]


def test_two_that_send_at_once_write_over_nothing(
    pair: tuple[Process, Process], shared: Any, clock: Any
) -> None:
    one, two = pair
    two.poll()
    one.poll()
    two.poll()
    one.relay.keep([line(1)])
    two.relay.keep([line(2), line(1)])
    one.relay._send(1.0, one.take)
    two.relay._send(1.0, two.take)
    assert list(two.relay._ends)[:2] == list(one.relay._ends)
    assert len(two.relay._ends) == 3
    assert not two.relay._waiting
    assert two.known == [1]
    one.poll()
    assert one.known == [2, 1]


def test_cache_that_failed_is_left_alone_for_half_a_minute(
    pair: tuple[Process, Process], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    tries: list[float] = []

    def fails(*args: Any, **kwargs: Any) -> Any:
        tries.append(time.time())
        raise ConnectionError("no cache")

    with monkeypatch.context() as patch:
        patch.setattr(type(caches["shared"]), "get", fails)
        for seconds in (0, 10, 19.9, 0.2, 29.9):
            clock.shift(seconds)
            assert one.poll() == 0  # by the database
    assert [round(tries[n] - tries[0], 1) for n in range(2)] == [0, 30.1]
    assert one.questions == 6
    clock.shift(0.2)
    one.poll()
    assert one.questions == 7


def test_age_of_the_cache_is_told_to_people_in_milliseconds(
    pair: tuple[Process, Process], clock: Any
) -> None:
    assert Process([], "elsewhere").relay.age() is None
    assert pair[1].relay.age() == 1.0
    clock.shift(0.00049)
    assert pair[1].relay.age() == 1.0
    clock.shift(-9)  # of a server whose clock is behind
    assert pair[1].relay.age() == 0.0


def test_who_finds_that_another_has_sent_meanwhile_takes_that_and_sends_after_it(
    shared: Any, pair: tuple[Process, Process]
) -> None:
    one, _ = pair
    [end], call = one.relay._ends, one.relay._cache.call
    one.table.append(7)
    asked = one.ask

    def ask() -> list[Line]:
        call("add", f"after:{end}", ("other", pack([line(8)])))
        return asked()

    one.ask = ask  # type: ignore[method-assign]
    assert one.poll() == 0
    assert one.known == [7, 8]
    name, segment = call("get", "after:other")
    assert [each.pk for each in unpack(segment)] == [7]
    assert list(one.relay._ends) == [end, "other", name]


def test_what_another_has_sent_is_not_sent_again(
    shared: Any, pair: tuple[Process, Process], clock: Any
) -> None:
    one, two = pair
    one.table.append(7)
    two.relay.keep([line(7)])  # it has read the line beside the cache
    assert one.poll() == 0
    clock.shift(1)
    two.poll()
    assert not two.relay._waiting
    assert two.known == [7]
    assert len(one.relay._ends) == 2


def test_one_alone_takes_the_place_of_a_process_whose_answer_does_not_come(
    pair: tuple[Process, Process], shared: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow database is not asked by each of the others, and whoever asks it has the turn."""
    one, two = pair
    one.relay._cache.call("add", "turn", "of-the-dead", 60)
    clock.shift(0.5)
    assert one.poll() is None
    assert two.poll() == 1.5  # what it knew before
    clock.shift(0.45)
    asks, beside = one.ask, []

    def slow() -> list[Line]:
        beside.append(two.poll())
        return asks()

    monkeypatch.setattr(one, "ask", slow)
    assert one.poll() == 0
    assert beside == [None]
    assert two.questions == 1
    assert one.relay._cache.call("get", "turn") == one.relay._turn
    stays = stands(shared)
    assert stays[":turn"] == stays[":instead:of-the-dead"] == 1
    assert stays[f":instead:{one.relay._turn}"] == 1


def test_process_that_nobody_visited_asks_beside_one_that_has_the_place_of_another(
    pair: tuple[Process, Process], clock: Any
) -> None:
    """And keeps for the others what it finds; nothing is wrong with the cache."""
    paused, _ = pair
    paused.relay._cache.call("add", "turn", "of-the-dead", 200)
    paused.relay._cache.call("add", "instead:of-the-dead", 1, 200)
    clock.shift(100)
    paused.table.append(7)
    assert paused.poll() == 0
    assert paused.known == [7]
    assert list(paused.relay._waiting) == [7]
    assert not paused.relay.rests()
