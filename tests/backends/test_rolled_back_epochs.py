"""Epochs that began in a transaction which was rolled back, beside others that did not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.models import User
from django.db import transaction

from ..helpers.visitor import MODES, Visitor
from .test_undelivered_epochs import BEGINNINGS, end_others, prove

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.urls_engines"),
]


@pytest.fixture
def visitor(engine: str, user: User, clock: Any) -> Visitor:
    visitor = Visitor()
    visitor.put(basket="book")
    visitor.login(user)
    clock.shift(60)
    return visitor


def in_vain(begin: Callable[[Any], Any], request: Any) -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        begin(request)
        assert 1 / 0


def answer(request: Any) -> None:
    request.session["x"] = 1


def fail(request: Any) -> None:
    raise RuntimeError


def extend(request: Any) -> None:
    request.session.refresh()


def read_again(request: Any) -> None:
    request.session.revalidate()


@pytest.mark.parametrize("ends", [answer, fail, extend, read_again])
@pytest.mark.parametrize("second", BEGINNINGS)
def test_epoch_that_was_rolled_back_after_another_takes_no_cookie_away(
    visitor: Visitor, clock: Any, second: Any, ends: Any
) -> None:
    def view(request: Any) -> None:
        prove(request)
        clock.shift(0.01)
        in_vain(second, request)
        ends(request)

    before = visitor.copy()
    visitor.client.raise_request_exception = False
    visitor.send(view, None, "post")
    clock.shift(6)
    assert visitor.who() == "ada"
    assert visitor.data() == {"basket": "book"} | ({"x": 1} if ends is answer else {})
    assert before.who() == ""


def test_others_are_ended_though_the_first_try_was_rolled_back(
    visitor: Visitor, user: User, clock: Any
) -> None:
    def view(request: Any) -> None:
        request.session.get("basket")
        in_vain(end_others, request)
        clock.shift(0.01)
        end_others(request)

    copy = visitor.copy()
    visitor.do(view)
    clock.shift(6)
    assert visitor.who() == "ada"
    assert copy.who() == ""


def test_session_is_ended_though_its_last_epoch_was_rolled_back(visitor: Visitor) -> None:
    def view(request: Any) -> None:
        in_vain(prove, request)
        request.session.flush()

    copy = visitor.copy()
    visitor.do(view)
    assert visitor.who() == copy.who() == ""


@pytest.mark.parametrize("how", ["logout", "flush"])
@pytest.mark.parametrize("mode", MODES)
def test_copy_is_out_though_the_logout_was_rolled_back(
    engine: str, user: User, settings: Any, how: str, mode: str
) -> None:
    """As by ATOMIC_REQUESTS, after an error in what comes next: the browser loses its cookie."""

    def end(request: Any) -> None:
        logout(request) if how == "logout" else request.session.flush()

    def view(request: Any) -> None:
        in_vain(end, request)

    async def aview(request: Any) -> None:
        await sync_to_async(view)(request)

    visitor = Visitor(mode)
    visitor.login(user)
    copy = visitor.copy()
    visitor.send(view, aview, "post")
    assert visitor.got == ""
    assert copy.who() == ""


@pytest.mark.parametrize("how", ["flush", "delete"])
def test_other_session_goes_on_where_its_end_was_rolled_back(
    engine: str, user: User, how: str
) -> None:
    """No browser has lost its cookie."""
    visitor, other = Visitor(), Visitor()
    visitor.login(user)
    other.login(user)
    key = other.key()

    def view(request: Any) -> None:
        in_vain(lambda request: getattr(type(request.session)(key), how)(), request)

    visitor.send(view, None, "post")
    assert (visitor.who(), other.who()) == ("ada", "ada")


def test_login_that_was_rolled_back_gives_no_earlier_cookie_to_the_user(
    engine: str, user: User, clock: Any
) -> None:
    """One that somebody has planted, say."""
    visitor = Visitor()
    visitor.put(basket="book")
    planted = visitor.copy()

    def view(request: Any) -> None:
        in_vain(lambda request: login(request, user), request)
        request.session["x"] = 1

    visitor.do(view)
    clock.shift(6)
    assert planted.who() == ""


def test_login_that_is_tried_again_after_a_rollback_begins_an_epoch(
    engine: str, user: User, clock: Any
) -> None:
    visitor = Visitor()
    visitor.put(basket="book")
    planted = visitor.copy()

    def view(request: Any) -> None:
        in_vain(lambda request: login(request, user), request)
        clock.shift(0.01)
        login(request, user)

    visitor.do(view)
    clock.shift(6)
    assert visitor.who() == "ada"
    assert visitor.data() == {"basket": "book"}
    assert planted.who() == ""


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
@pytest.mark.parametrize("more", [False, True])
def test_password_that_was_rolled_back_signs_nobody_out(visitor: Visitor, more: bool) -> None:
    def change(request: Any) -> None:
        request.user.set_password("another")
        request.user.save()
        update_session_auth_hash(request, request.user)
        if more:
            request.session.save()

    def view(request: Any) -> None:
        in_vain(change, request)
        request.session["x"] = 1

    visitor.do(view)
    assert visitor.who() == "ada"
    assert visitor.data() == {"basket": "book", "x": 1}
