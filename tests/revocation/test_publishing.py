"""Ends become known when they are there for all: transactions, tests, the order of ends."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from django_jwtsession.models import Revocation
from django_jwtsession.revocation import ending
from django_jwtsession.revocation.ending import Entry, publish
from django_jwtsession.revocation.feed import get_feed

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
def test_poll_in_the_same_transaction_tells_the_process_nothing(clock: Any) -> None:
    """It sees lines that nobody else sees, and that may be undone."""
    get_feed().refresh()
    with transaction.atomic():
        end("one")
        clock.shift(1)
        get_feed().refresh()
        assert not get_feed().is_ended("one")
        transaction.set_rollback(True)
    clock.shift(1)
    get_feed().refresh()
    assert not get_feed().is_ended("one")


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


def test_newer_end_takes_the_place_of_the_older_one_of_the_same_kept_session(user: Any) -> None:
    other = get_user_model().objects.create_user("eve")
    ending.revoke_user_sessions(user, keep="A" * 22)
    ending.revoke_user_sessions(user)
    ending.revoke_user_sessions(other)
    for _ in range(3):
        ending.revoke_user_sessions(user, keep="A" * 22)
    found = sorted(Revocation.objects.values_list("name", "keep_sid"))
    assert found == sorted([(str(user.pk), "A" * 22), (str(user.pk), ""), (str(other.pk), "")])
