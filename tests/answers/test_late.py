"""Answers that come late, and answers that were lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as site
from django.contrib.auth import login
from django.http import HttpRequest

from ..conftest import OUR_MIDDLEWARE, WEEK, read, write
from ..helpers import asgi
from .conftest import Asker

pytestmark = pytest.mark.django_db


# --- an extension of a slow reader ----------------------------------------------------------------


@pytest.mark.parametrize("left", [WEEK / 2 - 10, 10], ids=["half", "seconds"])
def test_slow_reader_never_takes_back_what_was_written_meanwhile(
    engine: str, ask: Asker, clock: Any, left: float
) -> None:
    ask(write(x=1))
    clock.shift(WEEK - left)
    slow, other = ask.another(), ask.another()

    def view(request: HttpRequest) -> str:
        seen = request.session["x"]
        other(write(x=2))
        clock.shift(1)
        return str(seen)

    response = slow(view)
    # The browser has one jar; the slow answer comes last.
    last = slow if response.cookies else other
    assert last(read).content == b"[('x', 2)]"


def test_late_reader_under_save_every_request_takes_back_no_write(
    engine: str, ask: Asker, clock: Any, settings: Any
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    ask(write(x=1))
    slow, other = ask.another(), ask.another()

    def view(request: HttpRequest) -> str:
        seen = request.session["x"]
        other(write(x=2))
        return str(seen)

    response = slow(view)
    last = slow if response.cookies else other
    assert last(read).content == b"[('x', 2)]"
    assert last(read).cookies["sessionid"]["max-age"] == WEEK


def test_reader_with_the_cookie_from_before_a_write_extends_nothing(
    ask: Asker, clock: Any, settings: Any
) -> None:
    """It was sent before the write was answered, and came after it."""
    settings.SESSION_ENGINE = "django_jwtsession.backends.cookie"
    ask(write(x=1))
    clock.shift(WEEK / 2 + 10)
    late = ask.another()
    ask(write(x=2))
    assert not late(read).cookies


def test_slow_reader_of_a_stateless_session_waits_for_a_quick_one(
    ask: Asker, clock: Any, settings: Any
) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.cookie"

    def slow(request: HttpRequest) -> str:
        clock.shift(1)
        return str(request.session["x"])

    ask(write(x=1))
    clock.shift(WEEK / 2 + 10)
    assert not ask(slow).cookies
    assert ask(read).cookies["sessionid"]["max-age"] == WEEK


def test_visitor_of_slow_pages_alone_stays(ask: Asker, clock: Any, settings: Any) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.cookie"

    def slow(request: HttpRequest) -> str:
        clock.shift(1)
        return str(request.session.get("x"))

    ask(write(x=1))
    for _ in range(40):
        clock.shift(WEEK / 6)
        assert ask(slow).content == b"1"


# --- a login whose answer was lost ----------------------------------------------------------------


@pytest.fixture
def csrf_in_sessions(settings: Any) -> None:
    settings.CSRF_USE_SESSIONS = True
    settings.ROOT_URLCONF = "tests.urls_engines"


def form(request: HttpRequest) -> str:
    from django.middleware.csrf import get_token

    return get_token(request)


@pytest.mark.usefixtures("csrf_in_sessions")
@pytest.mark.parametrize("seconds", [6, 7, 50, 600])
def test_visitor_whose_login_was_lost_logs_in_by_the_form(
    engine: str, ask: Asker, user: Any, clock: Any, seconds: float
) -> None:
    ask(form)
    lost = ask.another()
    lost(lambda request: login(request, user))
    clock.shift(seconds)
    response = ask(form)
    assert (response.status_code, "sessionid" in response.cookies) == (200, True)
    response = post(ask, lambda request: login(request, user), response.content.decode())
    assert response.status_code == 200
    assert ask(lambda request: request.user.get_username()).content == b"ada"


@pytest.mark.usefixtures("csrf_in_sessions")
@pytest.mark.parametrize("seconds", [0, 0.5, 2, 4.9])
def test_within_seconds_of_it_there_is_no_error_and_no_cookie(
    engine: str, ask: Asker, user: Any, clock: Any, seconds: float
) -> None:
    ask(form)
    lost = ask.another()
    lost(lambda request: login(request, user))
    clock.shift(seconds)
    for view in (form, write(x=1), read):
        response = ask(view)
        assert (response.status_code, dict(response.cookies)) == (200, {})
    # The other tab's answer came after all: nothing has undone its login.
    assert lost(lambda request: request.user.get_username()).content == b"ada"


def test_login_without_a_form_of_the_session_works_at_once(
    engine: str, ask: Asker, user: Any, settings: Any
) -> None:
    """A double click: the second one's cookie is from before the first one's login."""
    ask(write(cart=1))
    first = ask.another()
    first(lambda request: login(request, user))
    assert ask(lambda request: login(request, user)).status_code == 200
    assert ask(lambda request: request.user.get_username()).content == b"ada"


@pytest.mark.parametrize("seconds", [0, 2, 7])
def test_page_goes_on_after_a_login_over_a_websocket(
    engine: str, ask: Asker, user: Any, clock: Any, seconds: float
) -> None:
    """No answer carries the new cookie: a websocket has none."""
    from importlib import import_module

    ask(write(cart=1))
    request = HttpRequest()
    request.session = import_module(site.SESSION_ENGINE).SessionStore(ask.cookie)
    login(request, user)
    request.session.save()
    clock.shift(seconds)
    assert ask(write(x=1)).status_code == 200


def post(ask: Asker, view: Any, token: str) -> Any:
    """Post a form with its CSRF token, which is checked."""

    from tests import urls_engines

    urls_engines.Page.view = staticmethod(view)
    ask.client.handler.enforce_csrf_checks = True
    data = {"csrfmiddlewaretoken": token}
    if ask.mode == "asgi":
        return asgi.run(ask.client.post, "/", data)
    return ask.client.post("/", data)


def test_request_whose_session_ended_meanwhile_is_answered_400_as_by_django(
    engine: str, ask: Asker, settings: Any
) -> None:
    from django_jwtsession.revocation import revoke_session

    def view(request: HttpRequest) -> str:
        request.session["x"] = 2
        revoke_session(request.session.sid)
        return ""

    settings.MIDDLEWARE = [OUR_MIDDLEWARE]
    ask(write(x=1))
    response = ask(view)
    assert (response.status_code, dict(response.cookies)) == (400, {})


# --- an upload that a proxy has collected for minutes ---------------------------------------------


@pytest.mark.parametrize("size", [100_000, 10])
def test_upload_sent_before_a_new_epoch_does_not_sign_the_browser_out(
    engine: str, ask: Asker, user: Any, clock: Any, size: int
) -> None:
    """It arrives with the last epoch's cookie; what is short cannot have been under way."""
    ask.client.force_login(user)
    ask(read)  # answers the key that force_login() sets with a token
    before = ask.another()
    ask(lambda request: request.session.prove())
    clock.shift(120)

    def view(request: HttpRequest) -> str:
        request.session["upload"] = 1
        return request.user.get_username() or "nobody"

    response = (
        before(view, CONTENT_LENGTH=str(size))
        if ask.mode == "wsgi"
        else before(view, headers={"content-length": str(size)})
    )
    assert response.content == b"nobody"
    assert ("sessionid" in response.cookies) is (size == 10)
    assert ask(lambda request: request.user.get_username()).content == b"ada"
