"""Who writes reads the row first: what a session counts never goes back, whatever cookie comes in.

Each visit is that of another process, which has written nothing and trusts the cookie's copy.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test.utils import CaptureQueriesContext

from django_jwtsession.models import Session
from tests import urls_engines

from ..conftest import ENGINES
from ..helpers.process import another_process
from ..helpers.visitor import MODES, Visitor

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls_engines")]
SAFE = ["get", "head", "options"]
UNSAFE = ["post", "put", "patch", "delete"]


@pytest.fixture(params=["db", "hybrid"])
def rows_engine(request: pytest.FixtureRequest, settings: Any, clock: Any) -> None:
    settings.SESSION_ENGINE = ENGINES[request.param]


@pytest.fixture
def only_hybrid(settings: Any, clock: Any) -> None:
    settings.SESSION_ENGINE = ENGINES["hybrid"]


@pytest.fixture(params=MODES)
def visitor(request: pytest.FixtureRequest, rows_engine: None) -> Visitor:
    """A visitor who has got a code: three tries, to be redeemed once."""
    visitor = Visitor(request.param)
    visitor.put(tries=0, code="1234")
    another_process()
    return visitor


def try_code(visitor: Visitor, method: str) -> bool:
    """Try a code; tell whether this was one of the three tries that a session has."""

    def view(request: Any) -> bool:
        if request.session["tries"] >= 3:
            return False
        request.session["tries"] += 1
        return True

    async def aview(request: Any) -> bool:
        tries = await request.session.aget("tries")
        if tries >= 3:
            return False
        await request.session.aset("tries", tries + 1)
        return True

    another_process()
    return bool(visitor.send(view, aview, method))


def redeem(visitor: Visitor, method: str) -> bool:
    """Redeem the code; tell whether it was still there."""

    async def aview(request: Any) -> bool:
        return await request.session.apop("code", None) is not None

    another_process()
    return bool(visitor.send(lambda r: r.session.pop("code", None) is not None, aview, method))


def stored() -> dict[str, Any]:
    """Return what the row holds."""
    return Session.objects.get().get_decoded()


@pytest.mark.parametrize("method", UNSAFE)
def test_first_cookie_sent_again_and_again_has_three_tries(visitor: Visitor, method: str) -> None:
    tries = [try_code(visitor.copy(), method) for _ in range(6)]
    assert tries == [True] * 3 + [False] * 3
    assert stored()["tries"] == 3


@pytest.mark.parametrize("method", ["post", "get"])
def test_counter_never_goes_back(visitor: Visitor, method: str) -> None:
    first, before = visitor.copy(), 0
    for number in range(6):
        try_code(first.copy() if number % 2 else visitor, method)
        now = stored()["tries"]
        assert now >= before
        before = now


def test_writes_of_a_browser_with_an_older_copy_are_not_lost_for_long(visitor: Visitor) -> None:
    """Where another's answer was lost, each GET would bring the same old copy for a minute."""
    lost = visitor.copy()
    try_code(lost, "get")
    for _ in range(3):
        try_code(visitor, "get")
    assert stored()["tries"] == 3


@pytest.mark.parametrize("method", ["post", "get"])
def test_code_is_redeemed_once(visitor: Visitor, method: str) -> None:
    """pop() is a change, and reads the row before it answers."""
    assert [redeem(visitor.copy(), method) for _ in range(4)] == [True, False, False, False]


def test_process_that_has_found_a_newer_row_trusts_the_copy_no_more(only_hybrid: None) -> None:
    """Else who sends the first cookie by GET is judged by its numbers each time."""

    def count(request: HttpRequest) -> int:
        request.session["tries"] += 1
        return int(request.session["tries"])

    visitor = Visitor()
    visitor.put(tries=0)
    first = visitor.copy()
    for _ in range(3):
        another_process()
        visitor.send(count, None, "get")
    another_process()
    assert stored()["tries"] == 3
    assert [first.copy().send(count, None, "get") for _ in range(3)][1:] == [4, 5]


@pytest.mark.parametrize("method", SAFE)
def test_safe_request_that_only_reads_inside_the_window_makes_no_query(
    only_hybrid: None, method: str
) -> None:
    visitor = Visitor()
    visitor.put(x=1)
    another_process()
    with CaptureQueriesContext(connection) as queries:
        assert visitor.data(method) == {"x": 1}
    assert len(queries) == 0


@pytest.mark.parametrize("method", UNSAFE)
def test_unsafe_request_reads_the_row_once(rows_engine: None, method: str) -> None:
    visitor = Visitor()
    visitor.put(x=1)
    another_process()
    with CaptureQueriesContext(connection) as queries:
        assert visitor.data(method) == {"x": 1}
    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_write_is_one_select_and_one_update(rows_engine: None, method: str) -> None:
    visitor = Visitor()
    visitor.put(x=1)
    another_process()
    with CaptureQueriesContext(connection) as queries:
        visitor.put(method, y=2)
    assert [query["sql"].split()[0] for query in queries] == ["SELECT", "UPDATE"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_read_before_the_write_sees_what_others_wrote(only_hybrid: None, method: str) -> None:
    visitor = Visitor()
    visitor.put(x=1)
    old = visitor.copy()
    visitor.put(x=2, y=2)
    another_process()

    def view(request: Any) -> Any:
        request.session["z"] = 3
        return request.session["x"], request.session["y"]

    assert old.do(view, method) == (2, 2)


def test_request_that_another_method_stands_for_is_judged_by_both(
    only_hybrid: None, settings: Any
) -> None:
    """A middleware below ours takes the method from a header, as for HTML forms and htmx."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.override"]
    visitor = Visitor()
    visitor.put(x=1)
    old = visitor.copy()
    visitor.put(x=2)
    for real, overridden in [("get", "DELETE"), ("post", "GET")]:
        another_process()
        found = old.copy().data(real, **{"X-HTTP-Method-Override": overridden})
        assert found == {"x": 2}, real


def override(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    def middleware(request: HttpRequest) -> HttpResponse:
        request.method = request.headers.get("X-HTTP-Method-Override", request.method)
        return get_response(request)

    return middleware


def test_store_without_a_request_reads_the_row(only_hybrid: None) -> None:
    """A websocket, a management command."""
    visitor = Visitor()
    visitor.put(x=1)
    token = visitor.cookie
    visitor.put(x=2)
    another_process()
    store = import_module(ENGINES["hybrid"]).SessionStore
    assert store(token)["x"] == 2


def in_the_loop(visitor: Visitor, view: Any) -> None:
    """Visit by GET an async view that uses the session's sync methods."""
    another_process()
    copy = Visitor("async", visitor.cookie)
    copy.send(None, view, "get")
    assert copy.status == 200
    urls_engines.Page.view = staticmethod(urls_engines.untouched)


def test_change_where_the_row_cannot_be_read_loses_against_a_change_of_the_row(
    only_hybrid: None,
) -> None:
    """A synchronous change inside the event loop; nothing raises, the view has acted already."""
    visitor = Visitor()
    visitor.put(tries=0, other=1)
    old = visitor.copy()
    visitor.put(tries=3)

    async def view(request: Any) -> None:
        await request.session.aget("tries")
        request.session["tries"] = 1
        request.session["other"] = 2
        request.session["new"] = 3

    in_the_loop(old, view)
    assert stored() == {"tries": 3, "other": 2, "new": 3}


def test_pop_where_the_row_cannot_be_read_brings_nothing_back(only_hybrid: None) -> None:
    visitor = Visitor()
    visitor.put(code="1234", x=1)
    old = visitor.copy()
    visitor.do(lambda request: request.session.pop("code"))

    async def view(request: Any) -> None:
        await request.session.aget("code")
        request.session["code"] = "again"

    in_the_loop(old, view)
    assert stored() == {"x": 1}


def test_flushed_session_stays_flushed_whoever_writes(visitor: Visitor) -> None:
    old = visitor.copy()
    visitor.do(lambda request: request.session.flush())
    for method in ("get", "post"):
        another_process()
        late = old.copy()
        late.put(method, x=1)
        assert "code" not in late.data()
