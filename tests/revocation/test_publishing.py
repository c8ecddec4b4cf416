"""Ends become known when they are there for all: transactions, tests, the order of ends."""

from __future__ import annotations

import time
from contextlib import nullcontext
from time import monotonic
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from django_jwtsession.models import Revocation
from django_jwtsession.revocation import announcements, ending, publishing
from django_jwtsession.revocation.ending import Entry, publish
from django_jwtsession.revocation.feed import STEP, NewEpoch, get_feed
from django_jwtsession.tokens.sid import new_sid

pytestmark = pytest.mark.django_db


def end(sid: str) -> None:
    publish([Entry("s", sid, time.time() + 3600, "test")])


@pytest.mark.django_db(transaction=True)
def test_end_is_known_when_its_transaction_commits() -> None:
    with transaction.atomic():
        end("one")
        assert not get_feed().is_ended("one")
    assert get_feed().is_ended("one")


@pytest.mark.django_db(transaction=True)
def test_end_that_is_rolled_back_ends_nothing() -> None:
    with transaction.atomic():
        end("one")
        transaction.set_rollback(True)
    assert not get_feed().is_ended("one")
    assert not Revocation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_end_in_a_savepoint_that_is_rolled_back_ends_nothing() -> None:
    with transaction.atomic():
        with transaction.atomic():
            end("one")
            transaction.set_rollback(True)
        end("two")
    assert not get_feed().is_ended("one")
    assert get_feed().is_ended("two")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("polling")
@pytest.mark.parametrize("seconds", [1, 61])
def test_poll_in_the_same_transaction_tells_the_process_nothing(
    clock: Any, seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It sees lines that nobody else sees, and that may be undone."""
    end("before")
    get_feed().refresh()
    with transaction.atomic():
        end("one")
        clock.shift(seconds)
        get_feed().refresh()
        assert not get_feed().is_ended("one")
        transaction.set_rollback(True)
    clock.shift(1)
    get_feed().refresh()
    assert not get_feed().is_ended("one")
    assert not caplog.messages


def test_in_a_testcase_an_end_is_known_at_once() -> None:
    assert connection.in_atomic_block
    end("one")
    assert get_feed().is_ended("one")
    with transaction.atomic():
        end("two")
    assert get_feed().is_ended("two")


def test_new_epoch_ends_those_before_it() -> None:
    ending.begin_epoch("one", 5000, time.time() + 3600)
    feed = get_feed()
    assert feed.is_ended("one", 4999)
    assert not feed.is_ended("one", 5000)


def test_new_epoch_says_how_it_began_and_until_when_the_old_one_has_tokens() -> None:
    end = int(time.time()) + 3600
    ending.begin_epoch("one", 5000, end)
    ending.begin_epoch("two", 5000, end, is_soft=True)
    feed = get_feed()
    assert feed.new_epoch_of("one") is NewEpoch.LOGIN
    assert feed.new_epoch_of("two") is NewEpoch.PROOF
    lines = Revocation.objects.values_list("kind", "name", "epoch", "reason", "expires_at")
    assert sorted(lines) == [("s", "one", 4999, "epoch", end), ("s", "two", 4999, "proof", end)]


@pytest.mark.parametrize("everyone", [False, True])
@pytest.mark.parametrize("off", [-10, 10])
def test_order_of_ends_and_logins_goes_by_the_feed(
    clock: Any, user: Any, off: float, everyone: bool
) -> None:
    """End all, log in on a server whose clock is off, end all: within a moment."""

    def end_all() -> None:
        if everyone:
            ending.revoke_all_sessions()
        else:
            ending.revoke_user_sessions(user)

    sub = str(user.pk)

    def log_in() -> float:
        return max(round(time.time(), 3), get_feed().ended_before(sub))

    end_all()
    clock.shift(off)
    first = log_in()
    clock.shift(-off)
    assert not get_feed().revoked("first", sub, first)
    end_all()
    assert get_feed().revoked("first", sub, first)
    clock.shift(off)
    second = log_in()
    assert not get_feed().revoked("second", sub, second)
    clock.shift(-2 * off)
    end_all()
    assert get_feed().revoked("second", sub, second)


def test_end_of_everyone_comes_after_each_users(clock: Any, user: Any) -> None:
    ending.revoke_user_sessions(user)
    auth_time = get_feed().ended_before(str(user.pk))
    clock.shift(-10)
    ending.revoke_all_sessions()
    assert get_feed().revoked("sid", str(user.pk), auth_time)


@pytest.mark.django_db(transaction=True)
def test_login_after_an_end_in_the_same_transaction_is_not_ended_by_it(
    clock: Any, user: Any
) -> None:
    """A new password: all sessions end, and the user is logged in."""
    with transaction.atomic():
        ending.revoke_user_sessions(user)
        auth_time = max(time.time(), get_feed().ended_before(str(user.pk)))
    assert not get_feed().revoked("sid", str(user.pk), auth_time)


def test_newer_end_takes_the_place_of_the_older_one_of_the_same_kept_session(user: User) -> None:
    other = get_user_model().objects.create_user("eve")
    ending.revoke_user_sessions(user, keep="A" * 22)
    ending.revoke_user_sessions(user)
    ending.revoke_user_sessions(other)
    for _ in range(3):
        ending.revoke_user_sessions(user, keep="A" * 22)
    found = sorted(Revocation.objects.values_list("name", "keep_sid"))
    assert found == sorted([(str(user.pk), "A" * 22), (str(user.pk), ""), (str(other.pk), "")])


def test_user_who_ends_all_others_on_ever_new_devices_leaves_two_lines(user: User) -> None:
    """Each keeps another session; the last but one is for the session that the last one keeps."""
    sids = [new_sid() for _ in range(5)]
    for sid in sids:
        ending.revoke_user_sessions(user, keep=sid)
    assert set(Revocation.objects.values_list("keep_sid", flat=True)) == set(sids[-2:])


def test_end_that_comes_after_a_later_one_does_not_take_its_place(user: User) -> None:
    """Of two processes the one with the earlier moment may be the slower one."""
    for before in (200.0, 100.0):
        publish([Entry("u", "7", time.time() + 3600, "test", before=before)])
    assert set(Revocation.objects.values_list("before", flat=True)) == {100.0, 200.0}


def test_end_that_cannot_be_written_again_is_known_here_and_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The transaction has committed: its owner is not to hear of it."""

    def fail(*args: Any) -> Any:
        raise OperationalError("out of reach")

    monkeypatch.setattr(announcements, "insert", fail)
    entry = Entry("s", "one", time.time() + 3600, "test")
    announcements.Announcement(get_feed(), [entry], frozenset(), "default", monotonic() - 6)()
    assert get_feed().is_ended("one")
    assert caplog.messages == ["An end of sessions becomes known late on other processes."]


@pytest.mark.parametrize("testing", [True, False])
def test_tests_of_a_project_that_allow_no_database_end_sessions_all_the_same(
    monkeypatch: pytest.MonkeyPatch, testing: bool
) -> None:
    def fail(*args: Any) -> Any:
        raise RuntimeError("Database access not allowed")

    monkeypatch.setattr(publishing, "insert", fail)
    monkeypatch.setattr(publishing, "in_test_environment", lambda: testing)
    with nullcontext() if testing else pytest.raises(RuntimeError):
        end("one")
    assert get_feed().is_ended("one") is testing


@pytest.mark.usefixtures("polling")
def test_end_of_a_users_sessions_asks_first_what_others_have_ended(user: User, clock: Any) -> None:
    """Else it might not be later than theirs, of which this process has not heard yet."""
    get_feed().refresh()
    theirs = time.time() + 100
    Revocation.objects.create(
        kind="u",
        name=str(user.pk),
        before=theirs,
        created_at=time.time(),
        expires_at=time.time() + 3600,
    )
    clock.shift(0.5)
    ending.revoke_user_sessions(user.pk)
    [line] = Revocation.objects.all()  # the newer in the place of the older
    assert (line.kind, line.name, line.before) == ("u", str(user.pk), theirs + STEP)


def test_end_of_one_user_is_not_later_for_that_of_another(user: User, clock: Any) -> None:
    other = get_user_model().objects.create_user("eve")
    clock.shift(100)
    ending.revoke_user_sessions(other)
    clock.shift(-100)
    ending.revoke_user_sessions(user)
    assert get_feed().ended_before(str(user.pk)) == time.time() + 15  # LEEWAY
