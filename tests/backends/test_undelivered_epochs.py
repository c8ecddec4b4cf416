"""Epochs whose cookie does not reach the browser, since the answer failed or was never read.

An error after a login, a proof or a new password: what has begun in the row, or in the feed, is no
end of the browser's session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client

from django_jwtsession.models import SessionEvent
from django_jwtsession.revocation import revoke_user_sessions
from tests import urls_engines

from ..helpers.visitor import MODES, Visitor
from . import test_epochs
from .test_epochs import OVER, PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.urls(test_epochs.__name__)]


@pytest.fixture(autouse=True)
def _settings(engine: str, settings: Any) -> Iterator[None]:
    settings.LOGIN_URL = "login"
    yield
    urls_engines.Page.view = staticmethod(urls_engines.untouched)


@pytest.fixture(params=MODES)
def victim(request: pytest.FixtureRequest, user: User, clock: Any) -> Visitor:
    """A browser with something in its basket, logged in ten minutes ago."""
    visitor = Visitor(request.param)
    visitor.put(basket="book")
    visitor.login(user)
    clock.shift(600)
    return visitor


def log_in_again(request: Any) -> None:
    login(request, request.user)


def prove(request: Any) -> None:
    request.session.prove()


def end_others(request: Any) -> None:
    revoke_user_sessions(request.user, keep=request.session)


def renew_key(request: Any) -> None:
    request.session.cycle_key()


BEGINNINGS = [log_in_again, prove, end_others, renew_key]


def failing(begin: Callable[[Any], None], rolls_back: bool = False) -> Callable[[Any], Any]:
    """Return a view that begins an epoch and fails afterwards."""

    def view(request: Any) -> HttpResponse:
        if not rolls_back:
            begin(request)
        else:
            with transaction.atomic():
                begin(request)
                transaction.set_rollback(True)
        request.session["lost"] = "x"
        raise RuntimeError("after the epoch has begun")

    return view


def fails(visitor: Visitor, view: Callable[[Any], Any]) -> None:
    """Have an answer 500, as a server gives it."""
    urls_engines.Page.view = staticmethod(view)
    visitor.response = urls_client(visitor).post("/")
    assert visitor.status == 500


def urls_client(visitor: Visitor) -> Client:
    """Return a client with the visitor's jar, to whom errors are answers."""
    client = Client(raise_request_exception=False)
    client.cookies = visitor.client.cookies
    return client


# --- an error after it ----------------------------------------------------------------------------


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_error_after_a_new_epoch_signs_nobody_out(victim: Visitor, clock: Any, begin: Any) -> None:
    thief = victim.copy()
    fails(victim, failing(begin))
    assert victim.got
    for _ in range(2):
        assert victim.who() == "ada"
        assert victim.data() == {"basket": "book"}  # what else the view stored is lost, as ever
        clock.shift(OVER)
    assert thief.who() == ""
    assert not SessionEvent.objects.filter(kind="token_reuse").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("begin", BEGINNINGS)
def test_error_that_rolls_the_epoch_back_changes_nothing(
    victim: Visitor, clock: Any, begin: Any
) -> None:
    fails(victim, failing(begin, rolls_back=True))
    assert victim.got is None
    clock.shift(OVER)
    assert victim.who() == "ada"
    assert victim.data() == {"basket": "book"}


def test_error_after_a_login_keeps_the_basket(user: User, clock: Any) -> None:
    visitor = Visitor()
    visitor.put(basket="book")
    fails(visitor, failing(lambda request: login(request, user)))
    clock.shift(OVER)
    assert visitor.who() == ""
    assert visitor.data() == {"basket": "book"}
    visitor.login(user)
    assert visitor.data() == {"basket": "book"}


def test_error_after_the_first_login_of_a_new_visitor_sets_no_cookie(user: User) -> None:
    visitor = Visitor()
    fails(visitor, failing(lambda request: login(request, user)))
    assert visitor.got is None


def test_error_after_a_password_change_signs_out_whoever_had_the_old_one(
    victim: Visitor, clock: Any
) -> None:
    """The new password is stored, its hash in the session is not, as with Django's engines."""

    def change_password(request: Any) -> None:
        request.user.set_password("another horse")
        request.user.save()
        update_session_auth_hash(request, request.user)

    thief = victim.copy()
    fails(victim, failing(change_password))
    clock.shift(OVER)
    assert victim.who() == ""
    assert thief.who() == ""


def test_answer_with_an_error_is_stored_by_nobody(victim: Visitor) -> None:
    fails(victim, failing(prove))
    assert victim.response.headers["Cache-Control"] == "private, no-store"
    assert "Cookie" in victim.response.headers["Vary"]


# --- an answer that nobody waits for --------------------------------------------------------------


def note(request: Any) -> None:
    request.session["sudo"] = "yes"


def note_and_prove(request: Any) -> None:
    note(request)
    prove(request)


def prove_and_note(request: Any) -> None:
    prove(request)
    note(request)


@pytest.mark.parametrize("views", [[note_and_prove], [prove_and_note], [prove, note]])
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("after", [0, 0.5, 3])
def test_copy_sees_nothing_of_what_came_with_the_proof(
    victim: Visitor, clock: Any, method: str, after: float, views: Any
) -> None:
    """Other apps note in the data that somebody has proved who they are."""
    thief = victim.copy()
    for view in views:
        victim.do(view)
    clock.shift(after)
    assert thief.do(lambda request: request.session.get("sudo"), method) is None
    assert victim.data()["sudo"] == "yes"


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
def test_request_that_reads_on_and_writes_all_the_same_loses_nothing(victim: Visitor) -> None:
    late = victim.copy()
    victim.do(prove_and_note)

    def write(request: Any) -> None:
        del request.session["basket"]
        request.session["seen"] = "yes"

    late.do(write, "get")
    assert late.got is None
    assert victim.data() == {"sudo": "yes", "seen": "yes"}


@pytest.mark.parametrize("begin", [renew_key, end_others])
@pytest.mark.parametrize("method", ["get", "post"])
def test_copy_that_begins_an_epoch_takes_no_proof_over(
    victim: Visitor, clock: Any, begin: Any, method: str
) -> None:
    """In a view that renews the key, by a request that was under way at the owner's proof."""
    thief = victim.copy()

    def view(request: Any) -> None:
        assert request.session["basket"] == "book"
        victim.post("/pages/confirm/", {"password": PASSWORD, "next": "/"})
        urls_engines.Page.view = staticmethod(lambda request: begin(request))
        begin(request)

    thief.do(view, method)
    assert thief.got is None
    assert thief.open("/fresh/").status_code == 302
    clock.shift(OVER)
    assert thief.who() == ""
    assert victim.who() == "ada"
    assert victim.open("/fresh/").status_code == 200


@pytest.mark.parametrize("after", [0.5, 3, OVER])
def test_who_has_lost_the_answer_to_a_proof_signs_in_and_finds_everything(
    victim: Visitor, user: User, clock: Any, after: float
) -> None:
    late, sid = victim.copy(), victim.sid()
    victim.do(prove)
    clock.shift(after)
    late.login(user)
    assert late.sid() == sid
    assert late.data() == {"basket": "book"}


# --- answers that carry the cookie, whatever they are ---------------------------------------------


def test_head_carries_the_cookie_of_a_new_epoch(victim: Visitor) -> None:
    victim.do(prove, "head")
    assert victim.got
    assert victim.who() == "ada"


def test_answer_not_modified_carries_the_cookie_of_a_new_epoch(
    victim: Visitor, settings: Any
) -> None:
    settings.MIDDLEWARE = [
        "django.middleware.http.ConditionalGetMiddleware",
        *settings.MIDDLEWARE,
    ]

    def view(request: Any) -> HttpResponse:
        prove(request)
        return HttpResponse(headers={"ETag": '"1"', "Cache-Control": "private"})

    client = urls_client(victim)
    urls_engines.Page.view = staticmethod(view)
    answer = client.get("/", headers={"If-None-Match": '"1"'})
    assert answer.status_code == 304
    assert answer.cookies["sessionid"].value
    assert victim.who() == "ada"


def test_view_that_deletes_the_cookie_of_a_new_epoch_is_overruled(victim: Visitor) -> None:
    """As by Django's middleware: who wants it gone flushes the session."""

    def view(request: Any) -> HttpResponse:
        prove(request)
        response = HttpResponse()
        response.delete_cookie("sessionid")
        return response

    client = urls_client(victim)
    urls_engines.Page.view = staticmethod(view)
    assert client.post("/").cookies["sessionid"].value
    assert victim.who() == "ada"


def test_stream_carries_the_cookie_of_an_epoch_that_began_before_it(victim: Visitor) -> None:
    def view(request: Any) -> StreamingHttpResponse:
        prove(request)
        return StreamingHttpResponse(iter([b"a", b"b"]))

    client = urls_client(victim)
    urls_engines.Page.view = staticmethod(view)
    assert client.post("/").cookies["sessionid"].value
    assert victim.who() == "ada"
