"""The feed: what a process asks, when, and what it does without an answer."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from django_jwtsession.models import Revocation
from django_jwtsession.revocation import feed as feed_module
from django_jwtsession.revocation.feed import MOVED, Feed, FeedUnavailable

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _outside_the_test_environment(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    monkeypatch.setattr(feed_module, "in_test_environment", lambda: False)


def entry(subject: str, *, age: float = 0, lives: float = 3600, **kwargs: Any) -> Revocation:
    now = timezone.now()
    return Revocation.objects.create(
        subject=subject,
        created_at=now - timedelta(seconds=age),
        expires_at=now + timedelta(seconds=lives),
        **kwargs,
    )


def revoked(feed: Feed, sid: str) -> bool:
    feed.refresh()
    return feed.revoked(sid, None, None)


def test_entries_in_force_are_known_after_the_first_question() -> None:
    entry("s:one", age=86400)
    entry("s:over", lives=-1)
    feed = Feed()
    assert revoked(feed, "one")
    assert not revoked(feed, "over")
    assert not revoked(feed, "two")


def test_start_up_loads_in_batches(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(feed_module, "_BATCH", 2)
    for number in range(5):
        entry(f"s:{number}", age=number)
    feed = Feed()
    with django_assert_num_queries(3):
        feed.refresh()
    assert all(feed.revoked(str(number), None, None) for number in range(5))


def test_first_load_may_take_longer_than_an_answer_is_good_for(
    monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(feed_module, "_BATCH", 2)
    for number in range(5):
        entry(f"s:{number}")
    lines = feed_module.read_lines

    def slowly(entries: Any) -> Any:
        clock.shift(50)
        return lines(entries)

    monkeypatch.setattr(feed_module, "read_lines", slowly)
    feed = Feed()
    assert revoked(feed, "4")
    assert feed._age() == 50  # of the last batch, not of the first


def test_start_up_that_broke_off_begins_again(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    monkeypatch.setattr(feed_module, "_BATCH", 2)
    for number in range(4):
        entry(f"s:{number}")
    feed, read = Feed(), feed_module.read_lines
    answers = iter([read, None])

    def breaks_off(entries: Any) -> Any:
        answer = next(answers)
        if answer is None:
            raise OperationalError("out of reach")
        return answer(entries)

    monkeypatch.setattr(feed_module, "read_lines", breaks_off)
    with pytest.raises(FeedUnavailable):
        feed.refresh()
    monkeypatch.setattr(feed_module, "read_lines", read)
    clock.shift(1)
    assert revoked(feed, "3")


def test_database_is_asked_once_an_interval(clock: Any, django_assert_num_queries: Any) -> None:
    entry("s:one")
    feed = Feed()
    feed.refresh()
    with django_assert_num_queries(0):
        feed.refresh()
    clock.shift(1)
    with django_assert_num_queries(1):
        feed.refresh()
        feed.refresh()


def test_poll_reads_an_entry_once(clock: Any, django_assert_num_queries: Any) -> None:
    entry("s:first")
    feed = Feed()
    feed.refresh()
    entry("s:one")
    for wait, queries in ((1, 2), (1, 1), (61, 1), (1, 1)):
        clock.shift(wait)
        with django_assert_num_queries(queries):
            feed.refresh()
    assert feed.revoked("one", None, None)


def test_many_new_entries_are_read_in_parts(
    monkeypatch: pytest.MonkeyPatch, clock: Any, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(feed_module, "_MOST_IDS", 2)
    entry("s:first")
    feed = Feed()
    feed.refresh()
    for number in range(5):
        entry(f"s:{number}")
    clock.shift(1)
    with django_assert_num_queries(4):
        feed.refresh()
    assert all(feed.revoked(str(number), None, None) for number in range(5))


def test_entry_that_becomes_visible_late_is_read(clock: Any) -> None:
    """It was written before others that were read, and committed after them."""
    entry("s:known", age=1)
    feed = Feed()
    feed.refresh()
    for age in (9, 14 * 60):
        entry(f"s:{age}", age=age)
    clock.shift(1)
    assert revoked(feed, "9")
    assert not revoked(feed, "840")
    clock.shift(61)
    assert revoked(feed, "840")


def test_poll_that_breaks_off_begins_where_it_began(
    monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(feed_module, "_MOST_IDS", 1)
    entry("s:first", age=3600)
    feed, read = Feed(), feed_module.read_lines
    feed.refresh()
    for number in range(4):
        entry(f"s:{number}", age=number * 20)
    for answers in range(4):
        left = iter(range(answers))

        def breaks_off(entries: Any, left: Any = left) -> Any:
            if next(left, None) is None:
                raise OperationalError("out of reach")
            return read(entries)

        monkeypatch.setattr(feed_module, "read_lines", breaks_off)
        clock.shift(1)
        feed.refresh()
    monkeypatch.setattr(feed_module, "read_lines", read)
    clock.shift(1)
    assert all(revoked(feed, str(number)) for number in range(4))


def test_key_that_comes_back_after_a_rollback_is_another_entry(clock: Any) -> None:
    """As on SQLite: an entry that this process read in its own transaction was undone."""
    entry("s:first")
    feed = Feed()
    feed.refresh()
    undone = entry("s:undone")
    clock.shift(1)
    feed.refresh()
    Revocation.objects.all().delete()
    entry("s:stolen", pk=undone.pk)
    clock.shift(1)
    assert revoked(feed, "stolen")


def test_hour_that_a_clock_leaves_out_does_not_deafen(settings: Any, clock: Any) -> None:
    """Without USE_TZ a database keeps UTC all the same, and has times that the zone has not."""
    settings.USE_TZ = False
    settings.TIME_ZONE = "Europe/Berlin"
    clock.move_to(datetime(2026, 3, 29, 2, 30, tzinfo=UTC).timestamp())

    def ended(sid: str) -> None:
        now = datetime.fromtimestamp(time.time(), UTC).replace(tzinfo=None)
        Revocation.objects.create(
            subject=f"s:{sid}", created_at=now, expires_at=now + timedelta(days=1)
        )

    ended("one")
    feed = Feed()
    assert revoked(feed, "one")
    clock.shift(60)
    ended("two")
    clock.shift(1)
    assert revoked(feed, "two")


def test_new_entry_is_known_within_the_interval(clock: Any) -> None:
    feed = Feed()
    assert not revoked(feed, "one")
    entry("s:one")
    assert not revoked(feed, "one")
    clock.shift(1)
    assert revoked(feed, "one")


@pytest.mark.parametrize(("late", "after"), [(9, 1), (600, 61)])
def test_entry_that_became_visible_late_is_found(late: float, after: float, clock: Any) -> None:
    entry("s:newest")
    feed = Feed()
    feed.refresh()
    entry("s:late", age=late)
    clock.shift(after)
    assert revoked(feed, "late")


def test_all_sessions_of_a_user_from_before_except_one() -> None:
    entry("u:7", before=100.5, keep_sid="kept")
    feed = Feed()
    feed.refresh()
    assert feed.revoked("sid", "7", 100.499)
    assert not feed.revoked("sid", "7", 100.5)
    assert not feed.revoked("kept", "7", 1.0)
    assert not feed.revoked("sid", "8", 1.0)
    assert not feed.revoked("sid", None, None)


def test_two_entries_of_one_user_both_hold() -> None:
    entry("u:7", before=100.0, keep_sid="a")
    entry("u:7", before=200.0, keep_sid="b")
    feed = Feed()
    feed.refresh()
    assert feed.revoked("a", "7", 50.0)
    assert feed.revoked("b", "7", 50.0)
    assert not feed.revoked("b", "7", 150.0)


def test_moved_session_is_known_as_moved_for_a_minute(clock: Any) -> None:
    entry("s:one", reason=MOVED)
    feed = Feed()
    feed.refresh()
    assert feed.moved("one")
    clock.shift(61)
    assert not feed.moved("one")


def test_expired_entries_are_forgotten(clock: Any) -> None:
    entry("s:one", lives=10)
    entry("u:1", before=1.0, lives=10)
    entry("s:newest", lives=86400)
    feed = Feed()
    feed.refresh()
    clock.shift(3600)
    Revocation.objects.filter(subject__in=["s:one", "u:1"]).delete()
    feed.refresh()
    assert not feed.revoked("one", None, None)
    assert not feed._users
    assert feed.revoked("newest", None, None)


@pytest.mark.parametrize("over", [1, 3], ids=["few", "most"])
def test_what_is_over_is_taken_out_whatever_its_part(clock: Any, over: int) -> None:
    ended = [entry(f"s:over{number}", age=7200, lives=10).subject[2:] for number in range(over)]
    living = [entry(f"s:{number}", lives=86400).subject[2:] for number in range(2)]
    feed = Feed()
    feed.refresh()
    assert feed._sessions.keys() == {*ended, *living}
    clock.shift(3600)
    feed.refresh()
    assert feed._sessions.keys() == set(living)


def test_longest_of_a_sessions_entries_counts(clock: Any) -> None:
    entry("s:one", age=7200, lives=86400)
    entry("s:one", age=7200, lives=10)
    entry("s:newest")
    feed = Feed()
    feed.refresh()
    clock.shift(3600)
    assert revoked(feed, "one")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", None])
def test_times_are_those_of_the_row_whatever_zone_the_database_keeps(
    zone: str | None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if zone is None:
        settings.USE_TZ = False
        settings.TIME_ZONE = "America/New_York"
    elif zone != "UTC":
        if connection.vendor == "postgresql":
            pytest.skip("keeps moments, whatever the zone")
        monkeypatch.setattr(connection, "timezone", ZoneInfo(zone))
    made = entry("s:one", age=7200.25)
    made.refresh_from_db()
    [line] = feed_module.read_lines(Revocation.objects.all())
    assert line.created_at == pytest.approx(made.created_at.timestamp(), abs=0.002)
    assert line.expires_at == pytest.approx(made.expires_at.timestamp(), abs=0.002)
    assert line.expires_at == pytest.approx(time.time() + 3600, abs=5)


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Any:
    def fail(*args: Any) -> None:
        raise OperationalError("out of reach")

    return lambda feed: monkeypatch.setattr(feed, "_read", fail)


def test_known_entries_hold_for_stale_if_error_and_then_it_is_an_error(
    outage: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    feed = Feed()
    entry("s:one")
    feed.refresh()
    outage(feed)
    for _ in range(60):
        clock.shift(1)
        feed.refresh()
    assert feed.revoked("one", None, None)
    clock.shift(2)
    with pytest.raises(FeedUnavailable):
        feed.refresh()
    with pytest.raises(FeedUnavailable):  # also in the requests between two attempts
        feed.refresh()
    assert len(caplog.records) == 1


def test_outage_that_two_threads_find_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    feed, both = Feed(), threading.Barrier(2)
    records: list[str] = []

    def slow(message: str) -> None:
        records.append(message)
        time.sleep(0)  # lets the other thread go on

    monkeypatch.setattr(feed_module.logger, "exception", slow)

    def find_out() -> None:
        both.wait()
        feed.report_outage()

    for _ in range(50):
        feed.clear()
        threads = [threading.Thread(target=find_out) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(records) == 50


def test_feed_recovers_by_itself(outage: Any, clock: Any, monkeypatch: Any) -> None:
    feed = Feed()
    feed.refresh()
    outage(feed)
    clock.shift(100)
    with pytest.raises(FeedUnavailable):
        feed.refresh()
    monkeypatch.undo()
    monkeypatch.setattr(feed_module, "in_test_environment", lambda: False)
    entry("s:one")
    clock.shift(1)
    assert revoked(feed, "one")


def test_process_that_never_had_an_answer_lets_nobody_in(outage: Any) -> None:
    feed = Feed()
    outage(feed)
    with pytest.raises(FeedUnavailable):
        feed.refresh()


def test_others_go_on_while_one_thread_asks(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    feed = Feed()
    feed.refresh()
    clock.shift(1)
    asking, go_on = threading.Event(), threading.Event()

    def slow(started: float) -> float:
        asking.set()
        assert go_on.wait(10)
        return started

    monkeypatch.setattr(feed, "_read", slow)
    thread = threading.Thread(target=feed.refresh)
    thread.start()
    assert asking.wait(10)
    feed.refresh()  # would wait for ever if it waited
    go_on.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.django_db(transaction=True)
async def test_event_loop_goes_on_while_the_feed_asks(
    monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    import asyncio

    feed = Feed()
    asking, go_on = threading.Event(), threading.Event()

    def slow(started: float) -> float:
        asking.set()
        assert go_on.wait(10)
        return started

    monkeypatch.setattr(feed, "_read", slow)
    task = asyncio.ensure_future(feed.arefresh())
    while not asking.is_set():
        await asyncio.sleep(0)
    go_on.set()
    await task


def test_feed_that_is_off_asks_nothing(settings: Any, django_assert_num_queries: Any) -> None:
    settings.JWTSESSION = {"REVOCATION_POLL": None}
    with django_assert_num_queries(0):
        Feed().refresh()


def test_in_djangos_test_environment_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.undo()
    with django_assert_num_queries(0):
        Feed().refresh()


def test_lock_of_the_parent_is_none_of_the_childs() -> None:
    feed = Feed()
    feed._lock.acquire()
    feed.unlock()
    feed.refresh()
