"""No session cookie on an answer that others may store."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.http import http_date
from django.views.decorators.cache import cache_page

from ..conftest import NOW, WEEK, Visit, read, write
from .conftest import Asker

pytestmark = pytest.mark.django_db

SHARED = [
    {"Cache-Control": "public, max-age=300"},
    {"Cache-Control": "public"},
    {"Cache-Control": "max-age=300"},
    {"Cache-Control": "S-MaxAge=60, s-maxage=60"},
    {"Cache-Control": 'Max-Age="300"'},
    {"Expires": http_date(NOW + 10 * WEEK)},
]
OWN = [
    {"Cache-Control": "private, max-age=300"},
    {"Cache-Control": "max-age=0"},
    {"Cache-Control": "no-cache"},
    {"Cache-Control": "public, no-store"},
    {"Expires": "0"},
    {},
]


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def page(headers: dict[str, str], **values: Any) -> Any:
    """Return a view that reads the session, or writes `values` to it, and answers with headers."""

    def view(request: HttpRequest) -> HttpResponse:
        request.session.get("x")
        if values:
            request.session.update(values)
        return HttpResponse("page", headers=headers)

    return view


@pytest.mark.parametrize("headers", SHARED, ids=str)
@pytest.mark.requirement("RFC 6265bis 8.5")
def test_page_that_others_may_store_carries_no_cookie_in_an_hour_of_visits(
    engine: str, ask: Asker, clock: Any, headers: dict[str, str]
) -> None:
    ask(write(x=1))
    clock.shift(WEEK / 2 + 10)
    for _ in range(6):
        clock.shift(600)
        response = ask(page(headers))
        assert not response.cookies
        assert {name: response.headers[name] for name in headers} == headers
    # It only waits: the next page of one's own extends.
    assert ask(read).cookies["sessionid"]["max-age"] == WEEK


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_page_of_one_s_own_extends(
    engine: str, ask: Asker, clock: Any, headers: dict[str, str]
) -> None:
    ask(write(x=1))
    clock.shift(WEEK / 2 + 10)
    response = ask(page(headers))
    assert response.cookies["sessionid"]["max-age"] == WEEK
    assert "private" in response.headers["Cache-Control"]


@pytest.mark.parametrize("headers", SHARED, ids=str)
def test_page_that_writes_becomes_private_and_the_log_says_so_once(
    engine: str,
    ask: Asker,
    clock: Any,
    headers: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("django_jwtsession.backends.answer._told", set())
    with caplog.at_level(logging.WARNING, "django_jwtsession"):
        for number in range(3):
            response = ask(page(headers, x=number))
            assert "sessionid" in response.cookies
            said = response.headers["Cache-Control"]
            assert "private" in said
            assert "public" not in said
            assert "s-maxage" not in said
    said_once = [r for r in caplog.records if "is private now" in r.getMessage()]
    assert len(said_once) == 1
    assert "tests.urls_engines.page" in said_once[0].getMessage()


def test_logout_on_a_public_page_deletes_the_cookie_and_is_private(engine: str, ask: Asker) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.session.flush()
        return HttpResponse(headers={"Cache-Control": "public, max-age=300"})

    ask(write(x=1))
    response = ask(view)
    assert response.cookies["sessionid"]["max-age"] == 0
    assert response.headers["Cache-Control"] == "max-age=300, private"


def test_cached_view_sets_no_cookie(engine: str, ask: Asker, clock: Any) -> None:
    ask(write(x=1))
    clock.shift(WEEK / 2 + 10)
    for _ in range(3):
        clock.shift(61)
        response = ask(cache_page(300)(page({})))
        assert not response.cookies
        assert "max-age=300" in response.headers["Cache-Control"]


def test_streamed_page_that_others_may_store_carries_no_cookie(
    engine: str, ask: Asker, clock: Any
) -> None:
    def view(request: HttpRequest) -> StreamingHttpResponse:
        request.session.get("x")
        return StreamingHttpResponse([b"one", b"two"], headers={"Cache-Control": "public"})

    ask(write(x=1))
    clock.shift(WEEK / 2 + 10)
    assert not ask(view).cookies


def test_streamed_page_that_writes_is_private(engine: str, ask: Asker) -> None:
    def view(request: HttpRequest) -> StreamingHttpResponse:
        request.session["x"] = 1
        return StreamingHttpResponse([b"one", b"two"], headers={"Cache-Control": "public"})

    response = ask(view)
    assert "sessionid" in response.cookies
    assert response.headers["Cache-Control"] == "private"


@pytest.mark.parametrize("own", [{}, {"Cache-Control": "must-revalidate"}], ids=str)
def test_site_wide_cache_never_hands_out_an_older_cookie(
    engine: str, ask: Asker, clock: Any, settings: Any, own: dict[str, str]
) -> None:
    settings.MIDDLEWARE = [
        "django.middleware.cache.UpdateCacheMiddleware",
        *settings.MIDDLEWARE,
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    settings.CACHE_MIDDLEWARE_SECONDS = 10 * WEEK
    ask(write(x=1), path="/?write=1")
    clock.shift(WEEK / 2 + 10)
    tab = ask.another()
    first = ask(page(own))
    assert first.cookies["sessionid"].value
    # The same visitor, still with the cookie from before: nothing of the first answer comes again.
    again = tab(page(own))
    assert not {m.value for m in first.cookies.values()} & {m.value for m in again.cookies.values()}


def test_visitor_without_a_session_is_no_concern_of_caches(engine: str, ask: Asker) -> None:
    response = ask(page({"Cache-Control": "public, max-age=300"}))
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert response.headers["Vary"] == "Cookie"


def test_garbage_in_the_cookie_makes_no_shared_page_private(engine: str, visit: Visit) -> None:
    view = page({"Cache-Control": "public, max-age=300"})
    response = visit(view, headers={"Cookie": "sessionid=this-is-no-token-at-all"})
    assert not response.cookies
    assert response.headers["Cache-Control"] == "public, max-age=300"
