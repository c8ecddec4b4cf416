"""The feed: what a process asks, when, and what it does without an answer."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import (
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from django_jwtsession.models import Revocation, Session
from django_jwtsession.revocation import asking, learning, marks, reader, shared
from django_jwtsession.revocation import feed as feed_module
from django_jwtsession.revocation.entries import Entry
from django_jwtsession.revocation.feed import Feed, FeedUnavailable

from ..conftest import NOW
from ..factories import SessionFactory
from .conftest import Line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polling")]


def ended(feed: Feed, sid: str) -> bool:
    feed.refresh()
    return feed.is_ended(sid)


@pytest.fixture
def feed() -> Feed:
    """A feed that has read a table with nothing in it."""
    feed = Feed()
    feed.refresh()
    return feed


# --- what an answer says --------------------------------------------------------------------------


def test_lines_in_force_are_known_after_the_first_question(line: Line) -> None:
    line("one", age=86400)
    line("over", lives=-1)
    feed = Feed()
    assert ended(feed, "one")
    assert not ended(feed, "two")


def test_epochs_up_to_the_one_named_are_ended_and_later_ones_are_not(line: Line) -> None:
    line("one", epoch=1000)
    line("one", epoch=3000)
    line("one", epoch=2000)
    line("gone", epoch=5)
    line("gone")
    feed = Feed()
    feed.refresh()
    assert feed.end_of("one") == 3000
    assert [feed.is_ended("one", epoch) for epoch in (999, 3000, 3001)] == [True, True, False]
    assert feed.end_of("gone") == math.inf
    assert feed.end_of("living") is None


def test_all_sessions_of_a_user_from_before_except_one(line: Line) -> None:
    line("7", kind="u", before=100.5, keep_sid="kept")
    feed = Feed()
    feed.refresh()
    assert feed.revoked("sid", "7", 100.499)
    assert not feed.revoked("sid", "7", 100.5)
    assert not feed.revoked("kept", "7", 1.0)
    assert not feed.revoked("sid", "8", 1.0)
    assert not feed.revoked("sid", None, None)


def test_two_entries_of_one_user_that_keep_different_sessions_both_hold(line: Line) -> None:
    line("7", kind="u", before=100.0, keep_sid="a")
    line("7", kind="u", before=200.0, keep_sid="b")
    feed = Feed()
    feed.refresh()
    assert feed.revoked("a", "7", 50.0)
    assert feed.revoked("b", "7", 50.0)
    assert not feed.revoked("b", "7", 150.0)


def test_user_whose_key_is_an_asterisk_is_not_everyone(line: Line) -> None:
    line("*", kind="u", before=100.0)
    feed = Feed()
    feed.refresh()
    assert feed.revoked("sid", "*", 50.0)
    assert not feed.revoked("sid", "7", 50.0)


def test_end_of_everyone_is_the_end_of_each(line: Line) -> None:
    line("", kind="e", before=100.0)
    feed = Feed()
    feed.refresh()
    assert feed.revoked("sid", "7", 50.0)
    assert feed.ended_before("8") == 100.0
    assert not feed.revoked("sid", "7", 100.0)


# --- when it is asked -----------------------------------------------------------------------------


def test_database_is_asked_once_an_interval(
    clock: Any, line: Line, django_assert_num_queries: Any
) -> None:
    line("one")
    feed = Feed()
    feed.refresh()
    with django_assert_num_queries(0):
        feed.refresh()
    clock.shift(1)
    with django_assert_num_queries(1):
        feed.refresh()
        feed.refresh()


def test_poll_reads_a_line_once(
    feed: Feed, clock: Any, line: Line, django_assert_num_queries: Any
) -> None:
    line("one")
    for queries in (2, 1, 1):
        clock.shift(1)
        with django_assert_num_queries(queries):
            feed.refresh()
    assert feed.is_ended("one")


def test_poll_looks_at_none_of_the_many_that_were_read_before(
    feed: Feed, clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `revoke --all` of 100,000 each poll took 110 ms until something else was ended."""
    for number in range(200):
        line(f"{number}")
    clock.shift(1)
    feed.refresh()
    clock.shift(11)
    found: list[int] = []
    keys_above = marks.RecentLines.keys_above

    def counted(lines: Any, key: int) -> Any:
        keys = keys_above(lines, key)
        found.append(len(keys))
        return keys

    monkeypatch.setattr(marks.RecentLines, "keys_above", counted)
    feed.refresh()
    assert 0 < max(found) <= marks.MARGIN  # fewer of a Galera's, whose keys have gaps


@pytest.mark.parametrize("distance", [1, 3, 1000])
def test_lines_are_read_by_their_keys_however_far_apart_those_are(
    line: Line, distance: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PAGE", 4)
    monkeypatch.setattr(reader, "_MOST_IDS", 3)
    pks = [line(f"{number}", pk=1 + number * distance).pk for number in range(30)]
    wanted = [*pks[:5], *pks[7:20]]
    assert [found.pk for found in reader.lines_of(wanted)] == wanted
    assert reader.lines_of([]) == []


def test_new_line_is_known_within_the_interval(feed: Feed, clock: Any, line: Line) -> None:
    line("one")
    assert not ended(feed, "one")
    clock.shift(1)
    assert ended(feed, "one")


def test_intervals_of_processes_spread(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    monkeypatch.setattr(asking, "_SHORTEST_INTERVAL", 0.85)
    feeds = [Feed() for _ in range(20)]
    for feed in feeds:
        feed.refresh()
    intervals = {feed._next_ask - feed._asked_at for feed in feeds}
    assert len(intervals) > 10
    assert all(0.85 <= interval <= 1 for interval in intervals)


def test_clock_that_is_set_back_silences_nothing(
    feed: Feed, clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process's own clock counts seconds; the other may say what it likes."""
    now = time.time()
    for module in (asking, feed_module):
        monkeypatch.setattr(module, "monotonic", lambda: now + 1)
    clock.shift(-3600)
    line("one", lives=7200)
    assert ended(feed, "one")


def test_new_epoch_is_news_for_six_seconds(feed: Feed, clock: Any, line: Line) -> None:
    line("one", epoch=4999, reason="epoch")
    line("two", epoch=4999, reason="proof")
    line("three", epoch=4999, reason="user")
    clock.shift(1)
    feed.refresh()
    clock.shift(asking.RECENT - 0.01)
    assert feed.new_epoch_of("one") is asking.NewEpoch.LOGIN
    assert feed.new_epoch_of("two") is asking.NewEpoch.PROOF
    assert feed.new_epoch_of("three") is None
    clock.shift(0.01)
    assert feed.new_epoch_of("one") is None


def test_what_this_process_has_ended_itself_is_kept_until_it_is_read(
    feed: Feed, clock: Any, line: Line
) -> None:
    end = time.time() + 3600
    feed.add(Entry("s", "one", end, "epoch", epoch=5))
    feed.add(Entry("s", "two", end, "epoch", epoch=5))
    line("one", epoch=4)
    line("two", epoch=5)
    clock.shift(1)
    feed.refresh()
    assert [feed.end_of(name) for name in ("one", "two")] == [5, 5]
    assert list(feed._own) == ["one"]


def test_what_this_process_has_ended_itself_is_forgotten_when_no_token_needs_it(
    feed: Feed, clock: Any
) -> None:
    now = time.time()
    feed.add(Entry("s", "short", now + 60, "epoch", epoch=5))
    feed.add(Entry("s", "long", now + 3600, "epoch", epoch=5))
    clock.shift(57)
    feed.add(Entry("s", "new", now + 3600, "epoch", epoch=5))
    clock.shift(4)
    feed.refresh()
    assert sorted(feed._own) == ["long", "new"]
    assert list(feed._begun) == ["new"]


def test_feed_says_how_much_it_knows_and_what_it_does_not(
    feed: Feed, clock: Any, line: Line
) -> None:
    assert (feed.count(), feed.behind(), feed.newest_made_at()) == (0, 0, None)
    line("one", age=9)
    line("7", kind="u", before=1.0, age=3)
    assert feed.behind() == 2
    other = Feed()
    other.refresh()
    assert (other.count(), other.behind(), other.newest_made_at()) == (2, 0, NOW - 3)
    assert (other.is_complete, Feed().is_complete) == (True, False)


# --- what comes late, and what is lost ------------------------------------------------------------


def test_line_that_becomes_visible_late_is_read(feed: Feed, clock: Any, line: Line) -> None:
    """Its key is older than those that were read: its transaction committed after theirs."""
    late = line("late", age=12)
    keys = range(late.pk + 1, late.pk + 200)
    Revocation.objects.filter(pk=late.pk).delete()
    for key in keys:
        line(f"{key}", pk=key)
    clock.shift(1)
    feed.refresh()
    line("late", pk=late.pk)
    for seconds, known in ((9, True), (0, True)):
        clock.shift(seconds)
        assert ended(feed, "late") is known


def test_line_whose_transaction_took_sixteen_minutes_is_learnt(
    feed: Feed, clock: Any, line: Line
) -> None:
    """Whatever its age: by the count of the lines, once a minute."""
    late = line("late", lives=86400)
    Revocation.objects.filter(pk=late.pk).delete()
    for minute in range(17):
        for number in range(20):
            line(f"{minute}-{number}", lives=86400)
        clock.shift(60)
        feed.refresh()
    line("late", pk=late.pk, age=17 * 60, lives=86400)
    for _ in range(3):
        clock.shift(61)
        feed.refresh()
    assert ended(feed, "late")


def test_quiet_table_is_read_once(clock: Any, line: Line, caplog: pytest.LogCaptureFixture) -> None:
    """Its last lines are looked at each second, also when they were read long ago."""
    for number in range(3):
        line(f"{number}", epoch=4999, reason="epoch", lives=86400)
    feed = Feed()
    feed.refresh()
    for seconds in (1, 909, 1, 1, 48, 900):
        clock.shift(seconds)
        feed.refresh()
        assert feed.count() == 3
        assert feed.new_epoch_of("1") is None  # that one has begun is no news again
    assert not caplog.messages


def test_slow_transaction_writes_its_lines_again(
    feed: Feed, clock: Any, transactional_db: None
) -> None:
    from django_jwtsession.revocation.ending import publish

    with transaction.atomic():
        publish([Entry("s", "slow", time.time() + 3600, "test")])
        clock.shift(6)
    assert Revocation.objects.filter(name="slow").count() == 2
    with transaction.atomic():
        publish([Entry("s", "fast", time.time() + 3600, "test")])
    assert Revocation.objects.filter(name="fast").count() == 1


def test_what_the_database_has_lost_is_written_again(
    feed: Feed, clock: Any, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    line("kept", lives=86400)
    clock.shift(1)
    feed.refresh()
    lost = line("lost", lives=86400, epoch=17)
    clock.shift(1)
    feed.refresh()
    Revocation.objects.filter(pk=lost.pk).delete()  # a standby that had not seen it took over
    clock.shift(61)
    feed.refresh()
    again = Revocation.objects.get(name="lost")
    assert again.epoch == 17
    assert again.pk > lost.pk
    assert again.created_at != lost.created_at  # by the database's own clock
    other = Feed()
    other.refresh()
    assert other.end_of("lost") == 17
    assert "lost 1 ends" in caplog.text


@pytest.mark.parametrize(("kind", "name"), [("u", "7"), ("e", "")])
@pytest.mark.parametrize("can_write", [True, False])
def test_line_whose_place_another_has_taken_is_deleted_and_not_missed(
    feed: Feed,
    clock: Any,
    line: Line,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    can_write: bool,
    kind: str,
    name: str,
) -> None:
    """Of two processes that end a user's sessions at once neither sees the other's line."""

    def fail(pks: set[int]) -> None:
        raise OperationalError("read-only")

    if not can_write:
        monkeypatch.setattr(reader, "delete", fail)
    for before in (100.0, 200.0):
        line(name, kind=kind, before=before)
    line("one")
    clock.shift(1)
    feed.refresh()
    for _ in range(2):
        clock.shift(61)
        feed.refresh()
    if can_write:
        assert set(Revocation.objects.values_list("before", flat=True)) == {200.0, None}
        assert not caplog.messages
    else:
        assert Revocation.objects.count() == 3
        mended = "The feed could not be mended; in a minute it is tried again."
        assert caplog.messages[0] == mended


def test_line_that_expires_soon_is_missed_by_nobody(
    feed: Feed, clock: Any, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """A server whose clock is ahead may have cleared it, or not."""
    line("cleared", lives=100)
    line("there", lives=100)
    clock.shift(1)
    feed.refresh()
    Revocation.objects.filter(name="cleared").delete()
    clock.shift(61)
    feed.refresh()
    assert not caplog.messages
    assert Revocation.objects.count() == 1


def row(user: Any, **more: Any) -> Session:
    return SessionFactory(user=user, epoch=20, **more)


@pytest.mark.parametrize(
    ("name", "said", "goes"),
    [
        ("sid", {}, True),
        ("sid", {"epoch": 20}, True),
        ("sid", {"epoch": 19}, False),  # it has gone on since
        ("user", {"kind": "u", "before": NOW + 9}, True),
        ("user", {"kind": "u", "before": NOW - 999_999}, False),
        ("user", {"kind": "u", "before": NOW + 9, "keep_sid": "sid"}, False),
        ("", {"kind": "e", "before": NOW + 9}, True),
        ("no sid at all", {}, False),
        ("no key of a user", {"kind": "u", "before": NOW + 9}, False),
    ],
)
def test_row_that_comes_back_with_a_standby_that_missed_its_end_goes_again(
    feed: Feed, clock: Any, line: Line, user: Any, name: str, said: dict[str, Any], goes: bool
) -> None:
    """The engine `db` asks nobody else."""
    back, others = row(user), SessionFactory(epoch=20)
    names = {"sid": back.sid, "user": str(user.pk)}
    if "keep_sid" in said:
        said = said | {"keep_sid": back.sid}
    lost = line(names.get(name, name), lives=86400, **said)
    clock.shift(1)
    feed.refresh()
    Revocation.objects.filter(pk=lost.pk).delete()
    clock.shift(61)
    feed.refresh()
    assert Revocation.objects.exists()
    assert Session.objects.filter(pk=back.pk).exists() != goes
    assert Session.objects.filter(pk=others.pk).exists() != (said.get("kind") == "e")


def test_what_another_process_has_written_again_is_not_written_twice(
    feed: Feed, clock: Any, line: Line
) -> None:
    lost = line("lost", lives=86400)
    clock.shift(1)
    feed.refresh()
    Revocation.objects.filter(pk=lost.pk).delete()
    line("lost", lives=86400)
    clock.shift(61)
    feed.refresh()
    assert Revocation.objects.filter(name="lost").count() == 1


def test_restored_backup_is_read_from_the_beginning(feed: Feed, clock: Any, line: Line) -> None:
    """The newest key went back: what comes now has keys that were read already."""
    for number in range(100):
        line(f"{number}", lives=86400)
    clock.shift(1)
    feed.refresh()
    clock.shift(1000)
    feed.refresh()
    first = Revocation.objects.earliest("pk").pk
    Revocation.objects.filter(pk__gt=first).delete()
    line("after the restore", pk=first + 1, lives=86400)
    for _ in range(2):
        clock.shift(61)
        feed.refresh()
    assert ended(feed, "after the restore")


def test_poll_that_breaks_off_begins_where_it_began(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, clock: Any, line: Line
) -> None:
    line("one")

    def breaks_off(pks: list[int]) -> Any:
        raise OperationalError("out of reach")

    with monkeypatch.context() as patch:
        patch.setattr(reader, "lines_of", breaks_off)
        clock.shift(1)
        feed.refresh()
    clock.shift(1)
    assert ended(feed, "one")


def test_key_that_is_given_out_again_is_another_line(feed: Feed, clock: Any, line: Line) -> None:
    """As after a failover."""
    undone = line("undone")
    clock.shift(1)
    feed.refresh()
    Revocation.objects.all().delete()
    line("other", pk=undone.pk)
    clock.shift(1)
    assert ended(feed, "other")


# --- a table with many lines ----------------------------------------------------------------------


@pytest.fixture
def many(small_pages: None, line: Line) -> None:
    """A hundred lines, of which a request reads ten."""
    for number in range(100):
        line(f"{number}", age=86400, lives=86400)
    line("7", kind="u", before=100.0, age=86400)
    for number in range(100, 110):
        line(f"{number}", age=86400, lives=86400)


def test_process_serves_before_all_is_read(many: None) -> None:
    """Until then a token is looked up by a query."""
    feed = Feed()
    feed.refresh()
    assert not feed._learning.complete
    assert feed.is_ended("99")
    assert not feed.is_ended("living")
    assert feed.revoked("sid", "7", 50.0)
    assert feed.ended_before("7") == 100.0
    for _ in range(10):
        feed.refresh()
    assert feed._learning.complete
    assert all(feed.is_ended(str(number)) for number in range(110))
    assert feed.revoked("sid", "7", 50.0)
    assert feed.count() == 111


def test_load_reads_all_at_once(many: None, django_assert_num_queries: Any) -> None:
    feed = Feed()
    feed.load()
    with django_assert_num_queries(0):
        feed.refresh()
        assert feed.is_ended("99")


def test_load_that_finds_all_read_says_nothing_of_what_came_since(
    many: None, line: Line, clock: Any, django_assert_num_queries: Any
) -> None:
    """A readiness probe may call it each second: the polls go on."""
    feed = Feed()
    feed.load()
    line("new")
    for _ in range(4):
        clock.shift(0.5)
        with django_assert_num_queries(0):
            feed.load()
    feed.refresh()
    assert feed.is_ended("new")


def test_load_of_a_feed_that_is_off_asks_nothing(
    settings: Any, django_assert_num_queries: Any
) -> None:
    settings.JWTSESSION = {"REVOCATION_POLL": None}
    with django_assert_num_queries(0):
        Feed().load()


def test_load_leaves_no_connection_that_a_fork_would_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[bool] = []
    fake = SimpleNamespace(
        connection=None, in_atomic_block=False, close=lambda: closed.append(True), vendor="fake"
    )
    with monkeypatch.context() as patch:
        patch.setattr(asking, "connections", {"default": fake})
        Feed().load()
        assert closed == [True]
        fake.connection = "open before"
        Feed().load()
    assert closed == [True]


@pytest.mark.parametrize(
    ("was_shut", "closed"), [(True, ["connection", "pool"]), (False, ["connection"])]
)
def test_load_leaves_no_pool_that_a_fork_would_share(
    was_shut: bool, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a process that serves already it leaves the pool alone: other threads use it."""
    found: list[str] = []
    fake = SimpleNamespace(
        connection=None,
        in_atomic_block=False,
        close=lambda: found.append("connection"),
        pool=SimpleNamespace(closed=was_shut),
        close_pool=lambda: found.append("pool"),
        vendor="fake",
    )
    monkeypatch.setattr(asking, "connections", {"default": fake})
    Feed().load()
    assert found == closed


def test_nothing_is_counted_twice_by_a_load_during_which_lines_come(
    many: None, line: Line, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    feed = Feed()
    feed.refresh()
    line("new", lives=86400)
    while not feed._learning.complete:
        feed.refresh()
    for _ in range(3):
        clock.shift(61)
        feed.refresh()
    assert feed.is_ended("new")
    assert feed.count() == 112
    assert "read again" not in caplog.text


def test_load_that_broke_off_goes_on(
    many: None, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    feed = Feed()
    feed.refresh()

    def breaks_off(*args: Any) -> Any:
        raise OperationalError("out of reach")

    with monkeypatch.context() as patch:
        patch.setattr(reader, "page_between", breaks_off)
        feed.refresh()
    clock.shift(1)
    feed.load()
    assert feed.count() == 111


# --- forgetting -----------------------------------------------------------------------------------


def test_expired_lines_are_forgotten(feed: Feed, clock: Any, line: Line) -> None:
    line("one", lives=10)
    line("1", kind="u", before=1.0, lives=10)
    line("newest", lives=86400)
    clock.shift(1)
    feed.refresh()
    assert feed.count() == 3
    clock.shift(3600)
    Revocation.objects.exclude(name="newest").delete()
    for _ in range(learning._PARTS):
        clock.shift(61)
        feed.refresh()
    assert feed.count() == 1
    assert feed.is_ended("newest")


def test_one_user_who_ends_the_others_again_and_again_is_one_line(
    feed: Feed, clock: Any, user: Any
) -> None:
    from django_jwtsession.revocation.ending import revoke_user_sessions

    for _ in range(20):
        revoke_user_sessions(user, keep="A" * 22)
        clock.shift(1)
        feed.refresh()
    assert Revocation.objects.count() == 1
    assert feed.count() == 1
    other = Feed()
    other.refresh()
    assert other.count() == 1


# --- without an answer ----------------------------------------------------------------------------


@pytest.fixture(params=[OperationalError, InterfaceError])
def outage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The database is out of reach; a driver has two words for it."""

    def fail(*args: Any) -> None:
        raise request.param("out of reach")

    return lambda feed: monkeypatch.setattr(feed, "_read", fail)


def test_known_entries_hold_for_stale_if_error_and_then_it_is_an_error(
    outage: Any, clock: Any, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    line("one")
    feed = Feed()
    feed.refresh()
    outage(feed)
    for _ in range(60):
        clock.shift(1)
        feed.refresh()
    assert feed.is_ended("one")
    clock.shift(2)
    with pytest.raises(FeedUnavailable, match=r"longer than STALE_IF_ERROR\.$"):
        feed.refresh()
    with pytest.raises(FeedUnavailable):  # also in the requests between two attempts
        feed.refresh()
    assert caplog.messages == [
        "The database is out of reach; sessions go on with what is known for STALE_IF_ERROR."
    ]


def test_outage_that_two_threads_find_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    feed, both = Feed(), threading.Barrier(2)
    records: list[str] = []

    def slow(message: str) -> None:
        records.append(message)
        time.sleep(0)  # lets the other thread go on

    monkeypatch.setattr(asking.logger, "exception", slow)

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


def test_feed_recovers_by_itself(
    feed: Feed,
    clock: Any,
    line: Line,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("out of reach")

    with monkeypatch.context() as patch:
        patch.setattr(feed, "_read", fail)
        clock.shift(100)
        with pytest.raises(FeedUnavailable):
            feed.refresh()
    line("one")
    clock.shift(1)
    assert ended(feed, "one")
    assert caplog.messages[-1] == "The database can be read again."
    caplog.clear()
    clock.shift(1)
    feed.refresh()
    assert not caplog.messages


def test_process_that_never_had_an_answer_lets_nobody_in(outage: Any) -> None:
    feed = Feed()
    outage(feed)
    with pytest.raises(
        FeedUnavailable, match=r"STALE_IF_ERROR\. Run `manage.py migrate` if it has"
    ):
        feed.refresh()


def test_broken_transaction_is_no_outage(
    feed: Feed, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    clock.shift(1)
    with transaction.atomic():
        connection.set_rollback(True)
        feed.refresh()
    assert not caplog.records
    assert not feed._outage


def test_transaction_that_the_feed_finds_undone_is_its_owners_affair_and_no_outage(
    feed: Feed, clock: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock.shift(1)
    deadlock = OperationalError(1213, "Deadlock found when trying to get lock")
    with monkeypatch.context() as patch:
        patch.setattr(reader, "keys_above", Mock(side_effect=deadlock))
        with pytest.raises(OperationalError), transaction.atomic():
            feed.refresh()
    assert not caplog.records
    assert not feed._outage
    assert feed.due()


def test_others_go_on_while_one_thread_asks(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    clock.shift(1)
    asking, go_on = threading.Event(), threading.Event()

    def slow(started: float, *args: Any) -> float:
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


def test_nobody_waits_longer_than_a_second_for_a_database_that_hangs(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.05)
    clock.shift(10)
    under_way, go_on = threading.Event(), threading.Event()

    def hangs(started: float, *args: Any) -> float:
        under_way.set()
        assert go_on.wait(20)
        return started

    monkeypatch.setattr(feed, "_read", hangs)
    thread = threading.Thread(target=feed.refresh)
    thread.start()
    assert under_way.wait(10)
    began = time.perf_counter()
    feed.refresh()  # waits for its patience
    for _ in range(20):
        feed.refresh()  # and the others not at all
    assert time.perf_counter() - began < 5
    assert feed._out_of_patience
    go_on.set()
    thread.join(10)


@pytest.mark.django_db(transaction=True)
async def test_event_loop_goes_on_while_the_feed_asks(
    own_connection: None, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    feed = Feed()
    under_way, go_on = threading.Event(), threading.Event()

    def slow(started: float, *args: Any) -> float:
        under_way.set()
        assert go_on.wait(10)
        feed._learning.complete = feed._learning.settled = True
        return started

    monkeypatch.setattr(feed, "_read", slow)
    task = asyncio.ensure_future(feed.arefresh())
    while not under_way.is_set():
        await asyncio.sleep(0)
    go_on.set()
    await task


@pytest.fixture
def asked(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How old an answer may be that the feed was asked for, each time."""
    found: list[float | None] = []
    ask_once = feed._ask_once

    def counted(max_age: float | None) -> None:
        found.append(max_age)
        ask_once(max_age)

    monkeypatch.setattr(feed, "_ask_once", counted)
    return found


@pytest.mark.django_db(transaction=True)
async def test_event_loop_asks_when_it_is_time_and_whenever_an_answer_must_be_younger(
    own_connection: None, feed: Feed, clock: Any, asked: list[float | None]
) -> None:
    clock.shift(0.5)
    await feed.arefresh()
    assert asked == []
    await feed.arefresh(0.1)
    await feed.arefresh(0.1)
    assert asked == [0.1]
    clock.shift(1)
    await feed.arefresh()
    assert asked == [0.1, None]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("age", "max_age", "waits"), [(1.5, None, False), (2.5, None, True), (1.5, 0.1, True)]
)
async def test_event_loop_waits_for_another_thread_only_if_what_is_known_is_too_old(
    own_connection: None, feed: Feed, clock: Any, age: float, max_age: float | None, waits: bool
) -> None:
    clock.shift(age)
    with feed._lock:  # as by a thread that asks
        task = asyncio.ensure_future(feed.arefresh(max_age))
        await asyncio.sleep(0.05)
        assert task.done() is not waits
    feed._answered(time.time())
    async with asyncio.timeout(20):
        await task


@pytest.mark.django_db(transaction=True)
async def test_event_loop_waits_no_longer_than_its_patience(
    own_connection: None, feed: Feed, clock: Any
) -> None:
    clock.shift(3)
    with feed._lock:
        task = asyncio.ensure_future(feed.arefresh())
        await asyncio.sleep(0.05)
        clock.shift(asking.PATIENCE + 0.1)
        async with asyncio.timeout(20):
            await task
            await feed.arefresh()  # nor does anybody after it
    assert feed.is_out_of_reach()


@pytest.mark.django_db(transaction=True)
async def test_event_loop_asks_beside_who_waits_for_a_cache_that_hangs(
    own_connection: None, feed: Feed, clock: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "monotonic", lambda: time.time())
    settings.JWTSESSION = {"REVOCATION_CACHE": "default"}
    clock.shift(3)
    feed._relay._cache._called_at = time.time() - asking.PATIENCE
    with feed._lock:
        async with asyncio.timeout(20):
            await feed.arefresh()
    assert feed.age() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("waits", [True, False])
async def test_event_loop_that_got_no_answer_for_too_long_lets_nobody_in(
    own_connection: None, feed: Feed, clock: Any, waits: bool
) -> None:
    clock.shift(62)
    feed._out_of_patience = not waits
    with feed._lock:
        task = asyncio.ensure_future(feed.arefresh())
        await asyncio.sleep(0.05)
        assert task.done() is not waits
        clock.shift(asking.PATIENCE + 0.1)
        async with asyncio.timeout(20):
            with pytest.raises(FeedUnavailable):
                await task


@pytest.mark.parametrize(
    ("is_open", "transaction_is", "options", "owed"),
    [
        (True, False, {}, False),
        (True, True, {}, True),
        (True, False, {"pool": True}, True),
        (False, True, {"pool": True}, False),
    ],
)
def test_others_may_wait_for_a_connection_of_a_transaction_or_of_a_pool(
    monkeypatch: pytest.MonkeyPatch,
    is_open: bool,
    transaction_is: bool,
    options: dict[str, Any],
    owed: bool,
) -> None:
    monkeypatch.setattr(asking, "in_transaction", lambda _: transaction_is)
    connection = SimpleNamespace(
        connection=object() if is_open else None, settings_dict={"OPTIONS": options}
    )
    assert asking._is_owed("default", connection) is owed


async def test_feed_that_fails_before_a_transaction_is_left_to_who_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def fail(feed: Feed) -> None:
        calls.append("sync")
        raise FeedUnavailable

    async def afail(feed: Feed) -> None:
        calls.append("async")
        raise FeedUnavailable

    monkeypatch.setattr(Feed, "refresh", fail)
    monkeypatch.setattr(Feed, "arefresh", afail)
    feed_module.refresh_before_transaction()
    await feed_module.arefresh_before_transaction()
    assert calls == ["sync", "async"]


def test_who_holds_what_the_asker_may_wait_for_asks_beside_it(
    feed: Feed, clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_is_owed", lambda *_: True)
    line("one")
    line("two", age=-1)
    with feed._lock:  # the asker's
        clock.shift(0.5)
        feed.refresh(0.1)
        assert feed.is_ended("one")
        clock.shift(1)
        line("three")
        feed.refresh()  # what is known is young enough
        assert not feed.is_ended("three")
        clock.shift(1.5)
        feed.refresh()
        assert feed.is_ended("three")


def test_feed_of_another_place_is_not_asked_for_here(
    caplog: pytest.LogCaptureFixture,
) -> None:
    feed = Feed("elsewhere")
    with pytest.raises(FeedUnavailable, match="could not be read"):
        feed.refresh()
    assert "The feed of another place was asked for." in caplog.text


def test_answer_from_an_old_snapshot_is_learnt_and_does_not_count_as_one(
    feed: Feed, clock: Any, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it too old for a transaction that sees nothing newer anyway."""
    asked: list[str] = []

    def old(using: str) -> bool:
        asked.append(using)
        return True

    monkeypatch.setattr(asking, "reads_old_snapshot", old)
    line("one")
    clock.shift(1)
    assert ended(feed, "one")
    assert feed.due()
    assert feed.age() == 1.0
    clock.shift(100)
    feed.refresh()
    assert feed.age() == 101.0
    assert set(asked) == {"default"}
    feed._outage = True
    with pytest.raises(FeedUnavailable):
        feed.refresh()


def test_error_of_a_transaction_is_no_outage(
    feed: Feed, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise ProgrammingError("no such column")

    monkeypatch.setattr(feed, "_read", fail)
    clock.shift(1)
    with monkeypatch.context() as patch:
        patch.setattr(asking, "in_transaction", lambda using: using == "default")
        feed.refresh()
    assert not feed._outage
    feed.refresh()
    assert feed._outage
    assert not feed.due()
    clock.shift(0.99)
    assert not feed.due()
    clock.shift(0.01)
    assert feed.due()


# --- what sockets ask -----------------------------------------------------------------------------


def test_epoch_after_the_last_end_is_known_if_one_has_begun(
    feed: Feed, clock: Any, line: Line
) -> None:
    def after() -> int | None:
        clock.shift(1)
        feed.refresh()
        return feed.epoch_after("one")

    assert after() is None
    line("one", epoch=4999, reason="epoch")
    line("another", epoch=7000, reason="epoch")
    assert after() == 5000
    line("one", epoch=6000, reason="user")
    assert after() is None
    line("one", epoch=6999, reason="proof")
    assert after() == 7000


def test_feed_says_how_long_it_waits_until_it_asks(feed: Feed, clock: Any, settings: Any) -> None:
    assert Feed().wait() == 0.0
    assert feed.wait() == 1.0
    clock.shift(0.25)
    assert feed.wait() == 0.75
    clock.shift(10)
    assert feed.wait() == 0.0
    settings.JWTSESSION = {"REVOCATION_POLL": None}
    assert feed.wait() == 1.0


# --- where nothing is asked -----------------------------------------------------------------------


def test_feed_that_is_off_asks_nothing(settings: Any, django_assert_num_queries: Any) -> None:
    settings.JWTSESSION = {"REVOCATION_POLL": None}
    with django_assert_num_queries(0):
        for max_age in (None, 0.0):
            Feed().refresh(max_age)
            asyncio.run(Feed().arefresh(max_age))
        assert not Feed().is_ended("one")


def test_in_djangos_test_environment_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.undo()
    with django_assert_num_queries(0):
        Feed().refresh()
        asyncio.run(Feed().arefresh())
        assert not Feed().is_ended("one")


def test_locks_of_all_feeds_are_made_anew_after_a_fork() -> None:
    feed = feed_module.get_feed()
    lock = feed._lock
    feed_module._unlock()
    assert feed._lock is not lock


def test_lock_of_the_parent_is_none_of_the_childs() -> None:
    feed = Feed()
    feed._lock.acquire()
    feed._learning._changing.acquire()
    feed.unlock()
    feed.refresh()
