"""REVOCATION_CACHE: one process asks for all."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import pytest
from django.core.cache import caches
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from django_jwtsession.models import Revocation
from django_jwtsession.revocation import asking, entries, learning, reader, relay
from django_jwtsession.revocation.feed import Feed

from .conftest import Line
from .relays import line as relay_line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polling", "shared")]


def processes(count: int) -> list[Feed]:
    feeds = [Feed() for _ in range(count)]
    for feed in feeds:
        feed.refresh()
    return feeds


def poll(feeds: list[Feed], clock: Any, seconds: float = 1) -> int:
    """Let each process serve requests for some time; return the number of queries."""
    with CaptureQueriesContext(connection) as queries:
        for _ in range(int(seconds * 10)):
            clock.shift(0.1)
            for feed in feeds:
                feed.refresh()
    return len(queries)


def test_one_process_asks_for_all(clock: Any, line: Line) -> None:
    feeds = processes(20)
    poll(feeds, clock, 3)
    assert poll(feeds, clock, 10) <= 25  # 200 without it


def test_all_know_within_two_intervals(clock: Any, line: Line) -> None:
    feeds = processes(10)
    poll(feeds, clock, 3)
    for number in range(5):
        line(f"{number}", epoch=number)
        poll(feeds, clock, 2.2)
        assert all(feed.end_of(f"{number}") == number for feed in feeds)


def test_two_intervals_are_enough_also_for_who_looks_while_another_asks(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two is visited just before there is news, and next while the other is asking."""
    asking, looking = processes(2)
    poll([asking, looking], clock, 3)
    clock.shift(3)
    asking._next_ask = looking._next_ask = began = time.time()
    for _ in range(2):  # what the other has found, and its own question
        asking._next_ask = began
        asking.refresh()
    line("one")  # too late for that
    clock.shift(0.99)
    looking.refresh()  # there is news, of what was before
    clock.shift(looking._next_ask - time.time())
    keys_above = reader.keys_above

    def slow(key: int) -> Any:
        monkeypatch.setattr(reader, "keys_above", keys_above)
        looking.refresh()
        return keys_above(key)

    monkeypatch.setattr(reader, "keys_above", slow)
    asking.refresh()
    assert not looking.is_ended("one")
    assert looking._next_ask <= began + 2
    clock.shift(looking._next_ask - time.time())
    looking.refresh()
    assert looking.is_ended("one")


def test_process_that_was_not_visited_for_a_while_takes_no_old_news_for_an_answer(
    clock: Any, line: Line
) -> None:
    asking, paused = feeds = processes(2)
    poll(feeds, clock, 3)
    poll([asking], clock, 3)
    line("one")
    clock.shift(30)
    paused.refresh()
    assert paused.is_ended("one")


def test_process_that_was_not_visited_for_a_while_takes_what_was_just_asked(
    clock: Any, line: Line, django_assert_num_queries: Any
) -> None:
    asking, paused = feeds = processes(2)
    poll(feeds, clock, 3)
    clock.shift(30)
    line("one")
    asking.refresh()
    clock.shift(0.9)
    with django_assert_num_queries(0):
        paused.refresh()
    assert paused.is_ended("one")


def test_process_that_was_not_visited_for_a_while_asks_beside_one_that_is_just_asking(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it knows is too old to go on with: for longer than STALE_IF_ERROR it was an error."""
    asking, paused = feeds = processes(2)
    poll(feeds, clock, 3)
    clock.shift(100)
    line("one")
    keys_above = reader.keys_above

    def slow(key: int) -> Any:
        monkeypatch.setattr(reader, "keys_above", keys_above)
        paused.refresh()
        assert paused.is_ended("one")
        return keys_above(key)

    monkeypatch.setattr(reader, "keys_above", slow)
    asking.refresh()
    assert reader.keys_above is keys_above
    assert all(feed.age() == 0 for feed in feeds)


def test_what_one_process_has_read_the_other_takes_from_the_cache(
    clock: Any, line: Line, django_assert_num_queries: Any
) -> None:
    first, second = feeds = processes(2)
    poll(feeds, clock, 3)
    for number in range(2):
        line(f"{number}", epoch=5)
        clock.shift(1)
        first.refresh()
        clock.shift(0.4)
        with django_assert_num_queries(0):
            second.refresh()
        assert [feed.end_of(f"{number}") for feed in feeds] == [5, 5]


def test_cache_that_cannot_keep_a_copy_costs_nothing_but_the_copy(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no cache")

    monkeypatch.setattr(learning, "_NEWEST", 1)
    monkeypatch.setattr(type(caches["shared"]), "add", fails)
    one = relay.Relay("")
    assert not one.is_turn_of_copy()
    assert not one.is_turn_of_copy()
    assert caplog.messages == ["JWTSESSION REVOCATION_CACHE cannot be used: the database is asked."]


def test_what_a_process_read_by_itself_reaches_the_others(clock: Any, line: Line) -> None:
    """A login asks the database at once; then it may be this process's turn to ask for all."""
    feeds = processes(4)
    poll(feeds, clock, 3)
    line("one")
    for feed in feeds[:3]:
        clock.shift(0.01)
        feed.refresh(0.0)
    poll(feeds, clock, 2.2)
    assert feeds[3].is_ended("one")


@pytest.mark.parametrize("lost", ["all", "segments"])
def test_cache_that_forgets_loses_nothing(clock: Any, line: Line, lost: str) -> None:
    feeds = processes(3)
    poll(feeds, clock, 3)
    cache: Any = caches["shared"]
    for number in range(3):
        line(f"{number}")
        poll(feeds[:1], clock, 1.2)  # the others do not look
        if lost == "all":
            cache.clear()
        else:
            for key in [key for key in cache._cache if ":after:" in key]:
                del cache._cache[key], cache._expire_info[key]
    poll(feeds, clock, 2.2)
    assert all(feed.is_ended(f"{number}") for feed in feeds for number in range(3))


def test_cache_out_of_reach_leaves_it_to_the_database(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feeds = processes(2)

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no cache")

    monkeypatch.setattr(type(caches["shared"]), "get", fails)
    line("one")
    poll(feeds, clock, 2)
    assert all(feed.is_ended("one") for feed in feeds)
    assert sum("cannot be used" in record.message for record in caplog.records) == 2


def test_database_out_of_reach_is_an_outage_and_not_the_caches(
    clock: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    [feed] = processes(1)

    def fails(*args: Any) -> Any:
        raise OperationalError("out of reach")

    monkeypatch.setattr(reader, "keys_above", fails)
    poll([feed], clock, 3)
    assert feed._outage
    assert "REVOCATION_CACHE" not in caplog.text


def test_start_of_many_processes_reads_the_table_once(
    clock: Any, line: Line, small_pages: None
) -> None:
    for number in range(200):
        line(f"{number}", age=86400, lives=86400, epoch=number)
    line("7", kind="u", before=100.0, age=86400)
    for number in range(200, 210):
        line(f"{number}", age=86400, lives=86400)
    first, second = Feed(), Feed()
    first.refresh()  # begins to make a copy
    second.refresh()
    assert not second._learning.complete  # and the other waits for it, which asks for each token
    assert second.is_ended("199", 199)
    first.load()
    with CaptureQueriesContext(connection) as queries:
        second.load()
    assert len(queries) <= 3
    assert second.count() == first.count() == 211
    assert [second.end_of(f"{number}") for number in (0, 199)] == [0, 199]
    assert second.revoked("sid", "7", 50.0)


def test_copy_whose_pages_are_gone_is_made_up_for_by_the_database(
    clock: Any, line: Line, small_pages: None
) -> None:
    # One after the other, as not on each node of a Galera.
    keys = [line(f"{n}", pk=n + 1, age=86400, lives=86400).pk for n in range(100)]
    late = keys[-52]
    Revocation.objects.filter(pk=late).delete()
    Feed().load()
    cache: Any = caches["shared"]
    for key in [key for key in cache._cache if key.rpartition(":")[2].isdigit()]:
        del cache._cache[key], cache._expire_info[key]
    feed = Feed()
    feed.load()
    assert feed.count() == 99
    line("late", pk=late)  # its transaction took longer than those of the keys after it
    clock.shift(1)
    feed.refresh()
    assert feed.is_ended("late")


def test_one_process_looks_far_back_for_all_and_now_and_then_each(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[learning.Learning] = []
    look_back = learning.Learning.look_back

    def counted(self: learning.Learning, *args: Any) -> Any:
        looks.append(self)
        return look_back(self, *args)

    monkeypatch.setattr(learning.Learning, "look_back", counted)
    feeds = processes(3)
    for seconds, expected in ((59, 0), (2, 1), (59, 0), (2, 1), (901, 3)):
        looks.clear()
        clock.shift(seconds)
        for feed in feeds:
            feed.refresh()
        assert len(looks) == expected


def test_age_of_the_cache_is_that_of_the_last_question(clock: Any) -> None:
    [feed] = processes(1)
    assert feed.cache_age() is None
    clock.shift(1)
    feed.refresh()
    assert feed.cache_age() == 0.0
    clock.shift(0.12345)
    assert feed.cache_age() == 0.123
    clock.shift(-3600)  # another server's clock is ahead
    assert feed.cache_age() == 0.0


def test_copy_that_never_comes_is_waited_for_ten_seconds(
    clock: Any, line: Line, small_pages: None
) -> None:
    for number in range(100):
        line(f"{number}", age=86400, lives=86400)
    Feed().refresh()  # dies at its first page
    feed = Feed()
    for _ in range(30):
        clock.shift(1)
        feed.refresh()
    assert feed.count() == 100
    assert Revocation.objects.count() == 100


@pytest.mark.parametrize("beside", [False, True], ids=["in turn", "beside the asker"])
def test_who_asks_for_what_is_true_now_is_not_content_with_what_another_has_asked(
    clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    one, two = processes(2)
    poll([one, two], clock, 3)
    one.refresh(0.0)
    line("now")
    clock.shift(0.01)
    # `two` holds the connection that the thread that asks may be waiting for.
    monkeypatch.setattr(asking, "_is_owed", lambda *_: beside)
    with two._lock if beside else nullcontext():
        two.refresh(0.0)
    assert two.is_ended("now")


def test_who_looks_far_back_takes_what_another_has_sent_meanwhile(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = processes(1)
    poll([one], clock, 3)
    sent = relay_line(8)._replace(epoch=4, reason="proof")

    def look_back(*args: Any) -> list[Any]:
        segment = "of-another", entries.pack([sent]).decode()
        one._relay._cache.call("add", f"after:{one._relay._ends[-1]}", segment)
        return [relay_line(9)]

    monkeypatch.setattr(one._learning, "look_back", look_back)
    clock.shift(61)
    one.refresh()
    assert one.end_of("8") == 4
    assert one.new_epoch_of("8") == "proof"
