"""REVOCATION_CACHE while things go wrong: the promise holds, or the database is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection, connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from django_jwtsession.revocation import asking, relay
from django_jwtsession.revocation.feed import Feed

from .conftest import Line
from .relays import Process
from .relays import line as relay_line
from .test_relay import poll, processes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polling", "shared")]


def is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the cache be out of reach."""

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no cache")

    for method in ("get", "set", "add"):
        monkeypatch.setattr(LocMemCache, method, fails)


# --- two intervals --------------------------------------------------------------------------------


class Fleet:
    """Processes that are visited at random, and what each is to know."""

    def __init__(self, chance: Random, interval: float, gap: float, count: int = 6) -> None:
        self.chance, self.interval, self.gap = chance, interval, gap
        self.table: list[int] = []
        self.ended: list[float] = []
        self.feeds = [Feed() for _ in range(count)]
        self.next_visit = [time.time() + chance.random() for _ in self.feeds]
        self.latest = 0.0

    def end(self, line: Line) -> None:
        line(f"{len(self.ended)}")
        self.ended.append(time.time())

    def visit(self, number: int) -> None:
        """Be visited; note how long ago an end was that is not known."""
        feed, now = self.feeds[number], time.time()
        feed.refresh()
        unknown = [at for n, at in enumerate(self.ended) if not feed.is_ended(f"{n}")]
        self.latest = max([self.latest, *(now - at for at in unknown)])
        self.next_visit[number] = now + self.chance.expovariate(1 / self.gap)

    def live(self, clock: Any, line: Line, seconds: float, trouble: Callable[[], None]) -> None:
        end = time.time() + seconds
        while time.time() < end:
            number = min(range(len(self.feeds)), key=self.next_visit.__getitem__)
            clock.shift(max(0.0, self.next_visit[number] - time.time()))
            if self.chance.random() < 0.1:
                trouble()
            if self.chance.random() < 0.1:
                self.end(line)
                clock.shift(0.001)
            self.visit(number)


def nothing(fleet: Fleet, cache: Any) -> None:
    """Let all be well."""


def flushed(fleet: Fleet, cache: Any) -> None:
    cache.clear()


def evicting(fleet: Fleet, cache: Any) -> None:
    if cache._cache:
        cache._delete(fleet.chance.choice(list(cache._cache)))


def killed(fleet: Fleet, cache: Any) -> None:
    """Let a process be killed that has just taken the turn."""
    fleet.feeds[0]._relay._cache.call("add", "turn", f"of-the-dead-{time.time()}", 1)


@pytest.mark.parametrize("trouble", [nothing, flushed, evicting, killed])
@pytest.mark.parametrize(("interval", "gap"), [(1.0, 0.2), (1.0, 3.0), (5.0, 1.5), (0.4, 0.1)])
def test_end_is_known_after_two_intervals_to_whoever_comes(
    trouble: Callable[..., None],
    interval: float,
    gap: float,
    shared: Any,
    settings: Any,
    clock: Any,
    line: Line,
) -> None:
    settings.JWTSESSION = {"REVOCATION_CACHE": "shared", "REVOCATION_POLL": interval}
    for seed in range(4):
        shared.clear()
        fleet = Fleet(Random(seed), interval, gap)
        fleet.live(clock, line, 40 * interval, partial(trouble, fleet, shared))
        assert len(fleet.ended) > 2
        assert fleet.latest <= max(2 * interval, 1.1) + 0.002
        connection.cursor().execute("DELETE FROM django_jwtsession_revocation")


def test_process_that_asks_and_dies_is_replaced_in_time(
    clock: Any, line: Line, shared: Any
) -> None:
    feeds = processes(3)
    poll(feeds, clock, 3)
    turn = feeds[0]._relay._cache._key("turn")
    shared.delete(turn)
    assert shared.add(turn, "of-the-dead", 60)  # its interval is longer
    line("one")
    with CaptureQueriesContext(connection) as queries:
        poll(feeds, clock, 2)
    assert all(feed.is_ended("one") for feed in feeds)
    assert len(queries) <= 6


def test_server_that_polls_less_often_keeps_nobody_waiting(
    clock: Any, line: Line, shared: Any
) -> None:
    often = processes(3)
    seldom = {"REVOCATION_CACHE": "shared", "REVOCATION_POLL": 20}
    poll(often, clock, 3)
    for number in range(5):
        shared.delete(often[0]._relay._cache._key("turn"))
        with override_settings(JWTSESSION=seldom):
            other = Feed()
            other.refresh()
            other._next_ask = float("-inf")
            other.refresh()  # now it is its turn, for 20 s
        line(f"{number}")
        poll(often, clock, 2)
        assert all(feed.is_ended(f"{number}") for feed in often)


# --- nothing goes by ------------------------------------------------------------------------------


def test_more_ends_at_once_than_a_segment_holds_reach_all(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch, shared: Any
) -> None:
    monkeypatch.setattr(relay, "_MOST_WAITING", 10)
    monkeypatch.setattr(relay, "_SEGMENT", 7)
    feeds = processes(3)
    poll(feeds, clock, 3)
    for number in range(50):
        line(f"{number}")
    with CaptureQueriesContext(connection) as queries:
        poll(feeds, clock, 2.2)
    assert all(feed.is_ended(f"{number}") for number in range(50) for feed in feeds)
    assert len([one for one in queries if "keep_sid" in one["sql"]]) == 1  # one process read them


def test_what_was_read_beside_the_cache_and_is_too_much_to_keep_breaks_the_chain(
    clock: Any, shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_MOST_WAITING", 10)
    table: list[int] = []
    one, two = Process(table), Process(table)
    for process in (one, two, one, two):
        process.poll()
        clock.shift(1)
    for number in range(30):
        table.append(number)
        one.relay.keep(one.ask())
    assert len(one.relay._waiting) <= 11
    clock.shift(1)
    assert one.poll() == 0
    table.clear()
    table.extend(range(30))
    clock.shift(0.5)
    two.poll()
    assert sorted(two.known) == list(range(30))


def test_ends_of_the_time_in_which_the_cache_was_out_reach_who_was_not_visited(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, paused = feeds = processes(3)
    poll(feeds, clock, 3)
    with monkeypatch.context() as patch:
        is_out(patch)
        line("one")
        poll([one, two], clock, 20)
    poll([one, two], clock, 35)  # it is used again
    poll([paused], clock, 0.1)
    assert paused.is_ended("one")


def test_cache_that_goes_back_to_what_it_held_before_hides_nothing(
    clock: Any, line: Line, shared: Any
) -> None:
    """A replica takes over that has missed the last seconds, or a dump is loaded."""
    one, two, paused = feeds = processes(3)
    poll(feeds, clock, 3)
    held = dict(shared._cache), dict(shared._expire_info)
    line("before")
    poll([one, two], clock, 3)
    shared._cache.clear()
    shared._cache.update(held[0])
    shared._expire_info.update(held[1])
    line("after")
    poll([paused], clock, 0.1)  # it asks, and sends in the place of what was
    poll([one, two, paused], clock, 2.2)
    line("later")
    poll([one, two, paused], clock, 2.2)
    for name in ("before", "after", "later"):
        assert all(feed.is_ended(name) for feed in feeds), name


def test_what_one_has_found_by_looking_far_back_reaches_all_now(clock: Any, shared: Any) -> None:
    one, two, turns = Process([]), Process([]), Process([])
    for _ in range(2):
        for process in (turns, one, two):
            process.poll()
        clock.shift(1)
    turns.poll()
    one.relay.pass_on([relay_line(9)], one.take)
    assert two.poll() is not None
    assert two.known == [9]
    assert turns.poll() is None
    assert turns.known == [9]


def test_cache_that_keeps_nothing_but_json_is_good_enough(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As django-redis may be told to."""
    for method in ("set", "add"):
        plain = getattr(LocMemCache, method)

        def write(self: Any, key: str, value: Any, *args: Any, plain: Any = plain) -> Any:
            return plain(self, key, json.loads(json.dumps(value)), *args)

        monkeypatch.setattr(LocMemCache, method, write)
    feeds = processes(3)
    poll(feeds, clock, 3)
    line("one")
    with CaptureQueriesContext(connection) as queries:
        poll(feeds, clock, 2.2)
    assert all(feed.is_ended("one") for feed in feeds)
    assert len(queries) <= 6
    assert feeds[0]._relay._ends == feeds[2]._relay._ends


@pytest.mark.parametrize("other", [{"NAME": "other"}, {"HOST": "other"}, {"PORT": "1"}])
def test_sites_that_share_a_cache_know_nothing_of_each_other(
    other: dict[str, str], clock: Any, shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Process([1]), Process([2])
    here.poll()
    with monkeypatch.context() as patch:
        for name, value in other.items():
            patch.setitem(connections["default"].settings_dict, name, value)
        there.poll()
    for _ in range(3):
        clock.shift(1)
        assert here.poll() == there.poll() == 0
    assert (here.known, there.known) == ([1], [2])


def test_sites_of_other_secrets_know_nothing_of_each_other(
    clock: Any, settings: Any, shared: Any
) -> None:
    """A copy of a site for its developers, with a database of the same name."""
    here, there = Process([1]), Process([2])
    here.poll()
    settings.SECRET_KEY = "of the copy" * 5
    for _ in range(3):
        clock.shift(1)
        assert here.poll() == there.poll() == 0
    assert (here.known, there.known) == ([1], [2])


@pytest.mark.parametrize("more", [{"KEY_PREFIX": "b"}, {"VERSION": 2}])
def test_servers_that_name_the_cache_s_keys_differently_ask_the_database_each(
    more: dict[str, Any], clock: Any, line: Line, settings: Any
) -> None:
    one, two = Feed(), Feed()
    ours, theirs = settings.CACHES, {name: each | more for name, each in settings.CACHES.items()}
    for number in range(3):
        line(f"{number}")
        for _ in range(23):
            clock.shift(0.1)
            for feed, each in ((one, ours), (two, theirs)):
                with override_settings(CACHES=each):
                    feed.refresh()
        assert one.is_ended(f"{number}")
        assert two.is_ended(f"{number}")


# --- the cache does not work ----------------------------------------------------------------------


def test_cache_that_is_out_for_minutes_is_left_to_the_database(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feeds = processes(2)
    poll(feeds, clock, 3)
    with monkeypatch.context() as patch:
        is_out(patch)
        for number in range(5):
            line(f"{number}")
            poll(feeds, clock, 61)
            assert all(feed.is_ended(f"{number}") for feed in feeds)
    poll(feeds, clock, 61)
    told = [record.message.partition("REVOCATION_CACHE ")[2] for record in caplog.records]
    out, again = "cannot be used: the database is asked.", "can be used again."
    assert sorted(told) == sorted([out, again] * 2)  # once an outage and process


def test_cache_that_keeps_nothing_is_no_endless_loop(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Memcached, where more is given to it than it takes."""
    feeds = processes(2)
    poll(feeds, clock, 3)
    add = LocMemCache.add

    def refuses(self: Any, key: str, *args: Any, **kwargs: Any) -> Any:
        return ":after:" not in key and add(self, key, *args, **kwargs)

    monkeypatch.setattr(LocMemCache, "add", refuses)
    line("one")
    poll(feeds, clock, 2.2)
    assert all(feed.is_ended("one") for feed in feeds)


def test_cache_that_is_none_costs_what_no_cache_would(
    clock: Any, line: Line, settings: Any
) -> None:
    settings.CACHES = {
        "default": {"BACKEND": f"{DummyCache.__module__}.{DummyCache.__qualname__}"},
        "shared": {"BACKEND": f"{DummyCache.__module__}.{DummyCache.__qualname__}"},
    }
    feeds = processes(2)
    for number in range(3):
        line(f"{number}")
        poll(feeds, clock, 1.1)
        assert all(feed.is_ended(f"{number}") for feed in feeds)


def test_process_starts_without_its_cache(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch, small_pages: None
) -> None:
    for number in range(100):
        line(f"{number}", age=86400, lives=86400)
    is_out(monkeypatch)
    feed = Feed()
    poll([feed], clock, 2)  # it does not wait for another's copy
    assert feed.is_complete
    assert feed.count() == 100


def test_cache_that_hangs_holds_up_who_asks_it_alone(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    [feed] = processes(1)
    goes_on, reached = threading.Event(), threading.Event()

    def hangs(*args: Any, **kwargs: Any) -> None:
        reached.set()
        goes_on.wait(10)
        raise TimeoutError

    monkeypatch.setattr(LocMemCache, "get", hangs)
    monkeypatch.setattr(Feed, "_read", _once_in_a_thread(Feed._read))
    feed._next_ask = float("-inf")
    stuck = threading.Thread(target=feed.refresh)
    stuck.start()
    try:
        assert reached.wait(5)
        clock.shift(asking.PATIENCE + 0.1)
        line("one")
        feed.refresh()
        assert feed.is_ended("one")
    finally:
        goes_on.set()
        stuck.join(10)
        connections.close_all()


def _once_in_a_thread(read: Any) -> Any:
    """The thread that hangs has no connection to the test's database, and needs none later."""

    def wrapped(self: Feed, *args: Any, **kwargs: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            return read(self, *args, **kwargs)
        return self._relay.poll(time.monotonic(), 0.0, 1.0, len, list)

    return wrapped
