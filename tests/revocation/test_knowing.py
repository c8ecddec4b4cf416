"""What a process knows of its own ends before it reads them, and while it reads all lines."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from django.db import transaction

from django_jwtsession.models import Revocation
from django_jwtsession.revocation import feed as feed_module
from django_jwtsession.revocation.entries import Entry
from django_jwtsession.revocation.feed import Feed, NewEpoch
from django_jwtsession.revocation.publishing import publish

from .conftest import Line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("polling")]


@pytest.fixture
def feed() -> Feed:
    """A feed that has read a table with nothing in it."""
    feed = Feed()
    feed.refresh()
    return feed


def add(feed: Feed, name: str, epoch: int | None = None, **more: Any) -> None:
    """Let the feed hear what this process has ended."""
    values: dict[str, Any] = {"kind": "s", "expires_at": time.time() + 3600, "reason": "test"}
    feed.add(Entry(name=name, epoch=epoch, **values | more))


def test_feed_is_due_after_its_interval_or_as_soon_as_somebody_cannot_wait(
    feed: Feed, clock: Any
) -> None:
    clock.shift(0.3)
    assert not feed.due()
    assert not feed.due(0.5)
    assert feed.due(0.2)
    clock.shift(0.8)
    assert feed.due()


# --- its own ends ---------------------------------------------------------------------------------


def test_own_end_counts_at_once_and_the_later_of_two_whatever_came_first(feed: Feed) -> None:
    for name, epochs in {"up": (5, 9), "down": (9, 5), "once": (9,), "gone": (9, None, 5)}.items():
        for epoch in epochs:
            add(feed, name, epoch)
    assert [feed.end_of(name) for name in ("up", "down", "once")] == [9, 9, 9]
    assert feed.end_of("gone") == math.inf
    assert feed.end_of("living") is None


def test_own_end_counts_no_more_than_a_later_one_that_was_read(
    feed: Feed, line: Line, clock: Any
) -> None:
    line("one", epoch=9)
    clock.shift(1)
    feed.refresh()
    add(feed, "one", 5)
    assert feed.end_of("one") == 9


@pytest.mark.parametrize("epochs", [(5, 9), (9, 5), (3, 5, 9), (9, 3, 5), (5, 9, 3), (5, 9, 9)])
def test_last_epoch_but_one_is_the_same_in_whatever_order_a_process_ended_them(
    feed: Feed, epochs: tuple[int, ...]
) -> None:
    for epoch in epochs:
        add(feed, "one", epoch)
    assert [feed.is_last_but_one("one", epoch) for epoch in (5, 6, 9, 10)] == [
        *(False, True, True, False)
    ]


def test_all_epochs_up_to_the_only_end_are_the_last_but_one(
    feed: Feed, line: Line, clock: Any
) -> None:
    add(feed, "own", 9)
    line("read", epoch=9)
    clock.shift(1)
    feed.refresh()
    for name in ("own", "read"):
        assert [feed.is_last_but_one(name, epoch) for epoch in (0, 9, 10)] == [True, True, False]
    assert not feed.is_last_but_one("living", 0)


def test_own_end_before_one_that_was_read_counts_as_well(
    feed: Feed, line: Line, clock: Any
) -> None:
    line("one", epoch=9)
    clock.shift(1)
    feed.refresh()
    for epoch in (10, 12):
        add(feed, "one", epoch)
    assert [feed.is_last_but_one("one", epoch) for epoch in (10, 11, 12)] == [False, True, True]


def test_own_end_is_known_as_long_as_any_that_was_added_needs(feed: Feed, clock: Any) -> None:
    now = time.time()
    add(feed, "long first", 5, expires_at=now + 3600)
    add(feed, "long first", 6, expires_at=now + 30)
    add(feed, "short", 5, expires_at=now + 61)
    add(feed, "shorter", 5, expires_at=now + 60.5)
    clock.shift(60.5)
    feed.refresh()
    assert [feed.end_of(name) for name in ("long first", "short", "shorter")] == [6, 5, None]


def test_own_new_epoch_is_known_by_how_it_began(feed: Feed) -> None:
    add(feed, "one", 4999, reason="proof")
    add(feed, "two", 4999, reason="user")
    assert feed.new_epoch_of("one") is NewEpoch.PROOF
    assert feed.epoch_after("one") == 5000
    assert feed.new_epoch_of("two") is None
    assert feed.epoch_after("two") is None


def test_own_end_of_a_user_or_of_everyone_counts_at_once(feed: Feed) -> None:
    add(feed, "7", kind="u", before=100.0, keep_sid="kept")
    assert feed.revoked("sid", "7", 99.0)
    assert not feed.revoked("kept", "7", 99.0)
    assert not feed.revoked("sid", "8", 99.0)
    assert (feed.ended_before("7"), feed.ended_before("8"), feed.latest_end()) == (100.0, 0, 100.0)
    add(feed, "", kind="e", before=200.0)
    assert feed.revoked("sid", "8", 199.0)
    assert feed.latest_end() == 200.0


def test_own_end_of_a_user_is_no_line_of_another(feed: Feed, line: Line, clock: Any) -> None:
    """The first line of the table is not deleted in its place."""
    end = time.time() + 3600
    line("8", kind="u", before=50.0, pk=1)
    add(feed, "7", kind="u", before=100.0, expires_at=end)
    line("7", kind="u", before=100.0, expires_at=end)
    for before in (100.0, 200.0):  # of two processes at once
        line("9", kind="u", before=before)
    clock.shift(1)
    feed.refresh()
    clock.shift(61)
    feed.refresh()
    assert sorted(Revocation.objects.values_list("name", flat=True)) == ["7", "8", "9"]
    assert feed.count() == 3


def test_anonymous_session_and_one_without_a_login_are_of_no_user(feed: Feed) -> None:
    add(feed, "", kind="e", before=200.0)
    assert not feed.revoked("sid", None, 100.0)
    assert not feed.revoked("sid", "7", None)


def test_line_of_a_user_that_says_no_moment_ends_nothing(feed: Feed) -> None:
    add(feed, "7", kind="u")
    assert not feed.revoked("sid", "7", 1.0)
    assert feed.ended_before("7") == 0.0


# --- while all is read ----------------------------------------------------------------------------


@pytest.fixture
def loading(small_pages: None, line: Line) -> Feed:
    """A feed that has read the first of three pages; the newest lines come at last."""
    for number in range(100):
        line(f"{number}", age=86400, lives=86400, epoch=50)
    line("7", kind="u", before=100.0, age=86400)
    line("7", kind="u", before=150.0, keep_sid="kept", age=86400)
    line("over", age=86400, lives=-1)
    feed = Feed()
    feed.refresh()
    assert not feed.is_complete
    return feed


def test_later_of_what_is_asked_for_and_of_its_own_end_counts(loading: Feed, line: Line) -> None:
    for name, epoch in {"95": 40, "96": 60, "mine": 60}.items():
        add(loading, name, epoch)
    line("97", epoch=70)
    line("98")
    ends = [loading.end_of(name) for name in ("95", "96", "mine", "94", "97", "98")]
    assert ends == [50, 60, 60, 50, 70, math.inf]
    assert loading.end_of("over") is loading.end_of("living") is None


def test_ends_of_users_are_asked_for_until_all_is_read(loading: Feed, line: Line) -> None:
    assert loading.revoked("sid", "7", 120.0)
    assert not loading.revoked("kept", "7", 120.0)
    assert not loading.revoked("sid", "8", 1.0)
    assert loading.ended_before("7") == 150.0
    add(loading, "7", kind="u", before=160.0)
    add(loading, "9", kind="u", before=170.0)
    assert (loading.ended_before("7"), loading.ended_before("9")) == (160.0, 170.0)
    line("", kind="e", before=180.0)
    assert loading.ended_before("8") == 180.0


def test_name_of_a_user_is_no_sid_and_a_sid_no_user(loading: Feed, line: Line) -> None:
    line("ada", kind="u", before=100.0)
    line("eve", before=100.0)
    assert not loading.is_ended("ada")
    assert loading.is_ended("eve")
    assert loading.revoked("sid", "ada", 1.0)
    assert not loading.revoked("sid", "eve", 1.0)


def test_what_is_known_when_all_is_read_is_not_asked_for(
    loading: Feed, django_assert_num_queries: Any
) -> None:
    add(loading, "mine", 60)
    loading.load()
    with django_assert_num_queries(0):
        assert [loading.end_of(name) for name in ("99", "mine", "living")] == [50, 60, None]
        assert loading.ended_before("7") == 150.0


@pytest.mark.django_db(transaction=True)
def test_end_of_a_user_that_has_not_committed_orders_what_follows_in_its_transaction(
    feed: Feed,
) -> None:
    """Of that user's sessions, or of everyone's, and of no session's."""
    ends = [
        Entry("u", "7", time.time() + 60, "test", before=5.5),
        Entry("s", "one", time.time() + 60, "test", epoch=3),
    ]
    with transaction.atomic():
        feed_module.get_feed().refresh()
        publish(ends)
        known = feed_module.get_feed()
        assert (known.ended_before("7"), known.ended_before("8")) == (5.5, 0.0)
        assert known.latest_end() == 5.5
        publish([Entry("e", "", time.time() + 60, "test", before=6.5)])
        assert (known.ended_before("7"), known.ended_before("8")) == (6.5, 6.5)
        transaction.set_rollback(True)
    assert known.ended_before("7") == 0.0


def test_new_epoch_is_news_also_if_the_same_question_looks_far_back(
    feed: Feed, clock: Any, line: Line
) -> None:
    clock.shift(61)
    line("one", epoch=4999, reason="proof")
    feed.refresh()
    assert feed.new_epoch_of("one") is NewEpoch.PROOF
