"""A request beside a view that has stored a new password, and has not told its session yet.

Django's get_user() finds a hash that no longer fits there, and flushes the session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model, update_session_auth_hash
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import OperationalError
from django.http import HttpRequest

from django_jwtsession.backends import belonging
from tests import urls_engines

from ..helpers.visitor import MODES, Visitor

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.urls_engines"),
    pytest.mark.usefixtures("engine", "clock"),
]
Meanwhile = Callable[[Callable[[], Any]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """As in a process that is not the only one: `meanwhile(f)` calls f as a request waits."""
    monkeypatch.setattr(belonging, "in_test_environment", lambda: False)
    waits: list[Callable[[], Any]] = []
    monkeypatch.setattr(belonging, "sleep", lambda _: waits and waits.pop()())
    return waits.append


@pytest.fixture(params=MODES)
def visitor(request: pytest.FixtureRequest, user: User) -> Visitor:
    visitor = Visitor(request.param)
    visitor.login(user)
    return visitor


def store_password(user: User) -> None:
    """As the first half of a password form does; without a signal, which is another matter."""
    get_user_model().objects.filter(pk=user.pk).update(password=make_password("new"))


def who(visitor: Visitor) -> str:
    async def awho(request: Any) -> str:
        return str((await request.auser()).pk)

    return str(visitor.send(lambda request: str(request.user.pk), awho, "get"))


def tell_session(visitor: Visitor, user: User) -> None:
    """As the second half does, in a request that began before."""

    def view(request: HttpRequest) -> None:
        request.user = get_user_model().objects.get(pk=user.pk)
        update_session_auth_hash(request, request.user)

    sync, sync.cookie = Visitor("sync"), visitor.cookie
    page = urls_engines.Page.view
    sync.send(view, None, "post")
    urls_engines.Page.view = staticmethod(page)
    visitor.cookie = sync.cookie


def test_request_beside_a_password_form_ends_nothing(
    visitor: Visitor, user: User, meanwhile: Meanwhile
) -> None:
    tab = visitor.copy()
    store_password(user)
    meanwhile(lambda: tell_session(visitor, user))
    assert who(tab) == "None"
    assert tab.got is None
    assert who(visitor) == str(user.pk)


def test_session_whose_hash_stays_wrong_is_ended(
    visitor: Visitor, user: User, meanwhile: Meanwhile
) -> None:
    copy = visitor.copy()
    store_password(user)
    assert who(visitor) == "None"
    assert visitor.got == ""
    get_user_model().objects.filter(pk=user.pk).update(password=user.password)
    assert who(copy) == "None"


def test_site_that_flushes_a_session_whose_hash_fits_waits_for_nothing(
    visitor: Visitor, user: User, meanwhile: Meanwhile
) -> None:
    async def aflush(request: Any) -> None:
        await request.session.aflush()

    waited: list[int] = []
    meanwhile(lambda: waited.append(1))
    visitor.send(lambda request: request.session.flush(), aflush, "post")
    assert (visitor.got, waited) == ("", [])


def test_session_of_a_user_who_cannot_be_read_is_ended_at_once(
    visitor: Visitor, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where users live in another database, which is out of reach."""

    def fail(*args: Any) -> None:
        raise OperationalError

    def flush(request: Any) -> None:
        request.session.get("x")
        monkeypatch.setattr(ModelBackend, "get_user", fail)
        request.session.flush()

    visitor.do(flush)
    assert visitor.got == ""


def test_copy_is_waited_for_once(
    visitor: Visitor, user: User, meanwhile: Meanwhile, settings: Any
) -> None:
    """Without a feed a stateless one comes again and again: it would hold a thread each time."""
    settings.JWTSESSION = {"REVOCATION_POLL": None}
    copy = visitor.copy()
    store_password(user)
    assert who(visitor) == "None"
    waited: list[int] = []
    meanwhile(lambda: waited.append(1))
    assert (who(copy), waited) == ("None", [])


def test_sessions_that_all_lose_their_hash_at_once_hold_few_threads(
    visitor: Visitor, user: User, meanwhile: Meanwhile
) -> None:
    """As by a new SECRET_KEY, or passwords that SQL has changed: each would wait in vain."""
    others = [Visitor(visitor.mode) for _ in range(4)]
    for other in others:
        other.login(user)
    store_password(user)
    waiting, at_once = [visitor], []

    def ask_beside() -> None:
        at_once.append(len(waiting))
        waiting.append(others.pop())
        assert who(waiting[-1]) == "None"
        waiting.pop()

    for _ in range(len(others)):
        meanwhile(ask_beside)
    assert who(visitor) == "None"
    assert max(at_once) == 2
