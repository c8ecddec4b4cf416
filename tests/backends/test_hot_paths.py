"""A guard for the fast paths without a clock: queries, and Python functions called, a request.

Timed tests fail on busy machines; a function more on the way of each request is seen here at once.
A limit that a deliberate change exceeds is to be set anew, with the benchmark's number beside it
(python -m benchmarks.engines): the failure says what was counted.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

import django_jwtsession
from django_jwtsession.conf import get_config
from django_jwtsession.middleware import SessionMiddleware
from django_jwtsession.revocation import feed
from django_jwtsession.revocation.entries import Entry
from tests.conftest import ENGINES

PACKAGE = str(Path(django_jwtsession.__file__).parent)
# Python and Django versions differ by a few calls; what the package calls itself hardly at all.
TOLERANCE = 1.15


class Limit(NamedTuple):
    """What one request through the session middleware may need."""

    queries: int
    own_calls: int  # Python functions of this package
    all_calls: int  # with those of Django and the standard library


LIMITS = {
    ("cookie", "untouched"): Limit(0, 8, 32),
    ("cookie", "read"): Limit(0, 42, 79),
    ("cookie", "first read"): Limit(0, 69, 110),
    ("cookie", "write"): Limit(0, 120, 196),
    ("cookie", "forged"): Limit(0, 44, 87),
    ("hybrid", "untouched"): Limit(0, 8, 32),
    ("hybrid", "read"): Limit(0, 32, 70),
    ("hybrid", "first read"): Limit(0, 62, 104),
    ("hybrid", "write"): Limit(2, 207, 479),
    ("hybrid", "forged"): Limit(0, 44, 87),
    ("db", "untouched"): Limit(0, 8, 32),
    ("db", "read"): Limit(1, 61, 183),
    ("db", "first read"): Limit(1, 78, 199),
    ("db", "write"): Limit(2, 150, 408),
    ("db", "forged"): Limit(0, 44, 87),
}


def untouched(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def read(request: HttpRequest) -> HttpResponse:
    request.session.get("cart")
    return HttpResponse("ok")


def write(request: HttpRequest) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse("ok")


VIEWS = {
    "untouched": untouched,
    "read": read,
    "first read": read,
    "write": write,
    "forged": read,
}


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """Handlers of the test run are not of the request."""
    logger, nothing = logging.getLogger("django.security.jwtsession"), logging.NullHandler()
    logger.addHandler(nothing)
    logger.propagate = False
    yield
    logger.propagate = True
    logger.removeHandler(nothing)


@pytest.fixture
def as_in_production(settings: Any, monkeypatch: pytest.MonkeyPatch, quiet_log: None) -> None:
    """The feed polls, which it does not in Django's test environment; just not during a test."""
    settings.JWTSESSION = {"REVOCATION_POLL": 3600.0}
    monkeypatch.setattr(feed, "in_test_environment", lambda: False)


class Counter:
    """Counts the Python functions that are called in its block; those of the view are few."""

    own = total = 0

    def __enter__(self) -> Counter:
        self._before = sys.getprofile()
        sys.setprofile(self._seen)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(self._before)

    def _seen(self, frame: FrameType, event: str, arg: object) -> None:
        if event == "call":
            self.total += 1
            self.own += frame.f_code.co_filename.startswith(PACKAGE)


def send(view: Callable[..., Any], cookie: str | None) -> tuple[str | None, int, Counter]:
    """Send one request through the middleware; return its cookie, queries and calls."""
    request = RequestFactory().get("/")
    if cookie is not None:
        request.COOKIES["sessionid"] = cookie
    middleware = SessionMiddleware(view)
    with CaptureQueriesContext(connection) as queries, Counter() as calls:
        response = middleware(request)
    new = response.cookies.get("sessionid")
    return cookie if new is None else new.value, len(queries), calls


def logged_in(user: User) -> str:
    """Return the cookie of a session as many sites have it: a user, and some nested data."""

    def view(request: HttpRequest) -> HttpResponse:
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        request.session["cart"] = [{"id": 1071, "quantity": 2}, {"id": 88, "quantity": 1}]
        return HttpResponse("ok")

    cookie, _, _ = send(view, None)
    assert cookie
    return cookie


def forge(cookie: str) -> str:
    at = len(cookie) * 6 // 10
    return cookie[:at] + ("b" if cookie[at] != "b" else "c") + cookie[at + 1 :]


@pytest.mark.parametrize(("engine_name", "scenario"), LIMITS)
def test_request_needs_no_more_than_its_limit(
    engine_name: str, scenario: str, user: User, settings: Any, as_in_production: None, clock: Any
) -> None:
    settings.SESSION_ENGINE = ENGINES[engine_name]
    cookie = logged_in(user)
    if scenario == "forged":
        cookie = forge(cookie)
    view, follows = VIEWS[scenario], scenario != "forged"
    # The first requests fill what is kept for a process: keys, headers, statements, settings.
    for _ in range(2):
        after, _, _ = send(view, cookie)
        cookie = after if follows and after else cookie
    if scenario == "first read":  # of a token that this process has not seen
        get_config().codec._recent.forget()
    _, queries, calls = send(view, cookie)
    limit = LIMITS[engine_name, scenario]
    counted = Limit(queries, calls.own, calls.total)
    assert counted.queries == limit.queries, f"{counted}, the limit is {limit}"
    assert counted.own_calls <= limit.own_calls * TOLERANCE, f"{counted}, the limit is {limit}"
    if connection.vendor == "sqlite":  # drivers differ in what they are written in
        assert counted.all_calls <= limit.all_calls * TOLERANCE, f"{counted}, the limit is {limit}"


@pytest.mark.parametrize("engine_name", ["cookie", "hybrid"])
def test_read_costs_the_same_with_ten_thousand_sessions_ended(
    engine_name: str, user: User, settings: Any, as_in_production: None
) -> None:
    settings.SESSION_ENGINE = ENGINES[engine_name]
    cookie = logged_in(user)
    send(read, cookie)
    _, _, before = send(read, cookie)
    for number in range(10_000):
        feed.get_feed().add(Entry("s", f"{number:022}", 2**40, "test"))
    _, _, after = send(read, cookie)
    assert (after.own, after.total) == (before.own, before.total)


def test_counter_sees_a_function_more() -> None:
    with Counter() as calls:
        forge("a cookie")
    assert (calls.own, calls.total) == (0, 2)  # the block's end is a call as well
