"""Under ASGI: the same behaviour, and no thread where no query is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.contrib.auth import aauthenticate, alogin, alogout
from django.contrib.auth.models import User
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client

from django_jwtsession.middleware import SessionMiddleware
from django_jwtsession.models import Session
from django_jwtsession.revocation.feed import Feed

from . import urls_engines
from .conftest import DAY, ENGINES, OUR_MIDDLEWARE, STOCK_MIDDLEWARE, WEEK, cookie
from .helpers.process import another_process

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("own_connection"),
]

Visit = Callable[..., Any]


@pytest.fixture
def avisit(async_client: AsyncClient, settings: Any) -> Iterator[Visit]:
    """Visit the async page with a view that is awaited."""
    settings.ROOT_URLCONF = "tests.urls_engines"
    settings.MIDDLEWARE = [OUR_MIDDLEWARE, "django_jwtsession.middleware.AuthenticationMiddleware"]

    async def visit(view: Any = auntouched, by: AsyncClient = async_client, **kwargs: Any) -> Any:
        urls_engines.Page.view = staticmethod(view)
        return await by.get("/async/", **kwargs)

    yield visit
    urls_engines.Page.view = staticmethod(urls_engines.untouched)


async def auntouched(request: HttpRequest) -> str:
    return "untouched"


async def aread(request: HttpRequest) -> str:
    return repr(sorted(await request.session.aitems()))


def awrite(**values: Any) -> Any:
    async def view(request: HttpRequest) -> str:
        await request.session.aupdate(values)
        return "written"

    return view


class Hops:
    """Counts the thread hops of the code under test."""

    count = 0


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> Hops:
    counter, call = Hops(), SyncToAsync.__call__

    async def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        counter.count += 1
        return await call(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", counted)
    return counter


async def hops_of(hops: Hops, visiting: Any) -> int:
    before = hops.count
    await visiting
    return hops.count - before


async def test_session_is_written_and_read(engine: str, avisit: Visit) -> None:
    response = await avisit(awrite(x=1))
    assert response.cookies["sessionid"]["max-age"] == WEEK
    assert response.headers["Cache-Control"] == "private, no-store"
    assert (await avisit(aread)).content == b"[('x', 1)]"
    assert (await avisit(aread)).headers["Vary"] == "Cookie"


async def test_visit_costs_no_more_threads_than_queries(
    engine: str, avisit: Visit, hops: Hops
) -> None:
    """Signals of request_started are Django's own hops; an untouched page shows how many."""
    own = await hops_of(hops, avisit())
    first = await hops_of(hops, avisit(awrite(x=1))) - own
    read = await hops_of(hops, avisit(aread)) - own
    write = await hops_of(hops, avisit(awrite(x=2))) - own
    nothing = await hops_of(hops, avisit()) - own
    expected = {"cookie": (0, 0, 0, 0), "db": (1, 1, 2, 0), "hybrid": (1, 0, 2, 0)}
    assert (first, read, write, nothing) == expected[engine]


@pytest.mark.parametrize("is_loaded", [False, True])
async def test_tasks_of_one_request_write_to_its_session(
    engine: str, avisit: Visit, is_loaded: bool
) -> None:
    await avisit(awrite(gone=1, kept=2))
    await sync_to_async(another_process)()

    async def view(request: HttpRequest) -> str:
        session = request.session
        if is_loaded:
            await session.aget("kept")
        await asyncio.gather(
            session.aset("a", 1),
            session.aget("kept"),
            session.aset("b", 2),
            session.apop("gone"),
            session.aupdate({"c": 3}),
            session.asetdefault("d", 4),
        )
        return "written"

    assert (await avisit(view)).status_code == 200
    after = [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("kept", 2)]
    assert (await avisit(aread)).content.decode() == repr(after)


async def test_tasks_that_write_at_once_take_nothing_back_that_others_wrote(
    avisit: Visit, async_client: AsyncClient, settings: Any
) -> None:
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    await avisit(awrite(tries=1, seen=1))
    other = AsyncClient()
    other.cookies["sessionid"] = async_client.cookies["sessionid"].value
    await avisit(awrite(tries=2, seen=2), by=other)
    await sync_to_async(another_process)()

    async def view(request: HttpRequest) -> str:
        session = request.session
        assert await session.aget("tries") == 1  # from the copy in the cookie
        await asyncio.gather(session.aset("tries", 0), session.aset("seen", 0))
        return "written"

    await avisit(view)
    assert (await avisit(aread)).content == b"[('seen', 2), ('tries', 2)]"


async def test_stateless_session_never_leaves_the_loop(
    cookie_engine: None, avisit: Visit, hops: Hops, clock: Any
) -> None:
    own = await hops_of(hops, avisit())

    async def everything(request: HttpRequest) -> str:
        session = request.session
        await session.aset("x", 1)
        await session.asave()
        await session.arefresh()
        await session.aget_expiry_age()
        await session.acreate()
        return ""

    assert await hops_of(hops, avisit(everything)) == own
    clock.shift(WEEK - 10)
    assert await hops_of(hops, avisit(aread)) == own


async def test_stock_middleware_hops_where_ours_does_not(
    cookie_engine: None, avisit: Visit, hops: Hops, settings: Any
) -> None:
    """The counter counts: what it says of ours is worth something."""
    ours = await hops_of(hops, avisit(aread))
    settings.MIDDLEWARE = [STOCK_MIDDLEWARE]
    assert await hops_of(hops, avisit(aread, by=AsyncClient())) > ours


async def test_session_is_extended_in_the_second_half(
    engine: str, avisit: Visit, clock: Any
) -> None:
    await avisit(awrite(x=1))
    clock.shift(WEEK / 2 + 10)
    assert (await avisit(aread)).cookies["sessionid"]["max-age"] == WEEK
    clock.shift(WEEK - 20)
    assert (await avisit(aread)).content == b"[('x', 1)]"


async def test_refresh_by_hand(engine: str, avisit: Visit, clock: Any) -> None:
    async def view(request: HttpRequest) -> str:
        return str(await request.session.arefresh())

    await avisit(awrite(x=1))
    clock.shift(DAY)
    response = await avisit(view)
    assert response.content == b"True"
    assert response.cookies["sessionid"]["max-age"] == WEEK


async def test_last_seen_moves(db_engine: None, avisit: Visit, clock: Any) -> None:
    await avisit(awrite(x=1))
    before = (await Session.objects.aget()).last_seen_at
    clock.shift(301)
    await avisit(aread)
    assert ((await Session.objects.aget()).last_seen_at - before).total_seconds() == 301


async def test_save_every_request(engine: str, avisit: Visit, clock: Any, settings: Any) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    await avisit(awrite(x=1))
    clock.shift(DAY)
    assert (await avisit()).cookies["sessionid"]["max-age"] == WEEK


async def test_session_that_ended_during_the_request_answers_400(
    db_engine: None, avisit: Visit
) -> None:
    async def view(request: HttpRequest) -> str:
        await request.session.aset("x", 2)
        await Session._base_manager.all().adelete()
        return ""

    await avisit(awrite(x=1))
    response = await avisit(view)
    assert response.status_code == 400
    assert not response.cookies


async def test_login_and_logout(
    engine: str, avisit: Visit, async_client: AsyncClient, user: Any
) -> None:
    async def login_view(request: HttpRequest) -> str:
        found = await aauthenticate(request, username="ada", password="correct horse")
        await alogin(request, found)
        return ""

    async def who(request: HttpRequest) -> str:
        return (await request.auser()).get_username()

    async def logout_view(request: HttpRequest) -> str:
        await alogout(request)
        return ""

    await avisit(awrite(cart=1))
    anonymous = cookie(async_client)
    await avisit(login_view)
    assert cookie(async_client) != anonymous
    assert (await avisit(who)).content == b"ada"
    assert b"cart" in (await avisit(aread)).content
    response = await avisit(logout_view)
    assert response.cookies["sessionid"]["max-age"] == 0
    assert (await avisit(who)).content == b""


async def test_bad_token_is_anonymous(
    engine: str, avisit: Visit, async_client: AsyncClient, security_log: Any
) -> None:
    async_client.cookies["sessionid"] = "this is not a token"
    response = await avisit(aread)
    assert response.content == b"[]"
    assert response.cookies["sessionid"]["max-age"] == 0
    assert len(security_log) == 1


async def test_sync_view_behind_the_async_middleware(
    engine: str, avisit: Visit, async_client: AsyncClient
) -> None:
    await avisit(awrite(x=1))
    urls_engines.Page.view = staticmethod(lambda request: request.session["x"])
    response = await async_client.get("/")
    assert response.content == b"1"


async def test_feed_is_asked_before_the_transaction_of_a_view(
    engine: str, avisit: Visit, async_client: AsyncClient, settings: Any, monkeypatch: Any
) -> None:
    await avisit(awrite(x=1))
    order: list[str] = []

    async def arefresh(*_: Any) -> None:
        order.append("feed")

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    settings.SESSION_COOKIE_NAME = "sessionid"  # which makes a process look at its settings anew
    monkeypatch.setattr(Feed, "arefresh", arefresh)
    urls_engines.Page.view = staticmethod(lambda _: order.append("view"))
    await async_client.get("/")
    await AsyncClient().get("/")
    assert order == ["feed", "view", "view"]


async def test_streamed_answer_sets_its_cookie_before_the_first_byte(
    engine: str, avisit: Visit
) -> None:
    from django.http import StreamingHttpResponse

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"

    async def view(request: HttpRequest) -> Any:
        await request.session.aset("x", 1)
        return StreamingHttpResponse(parts())

    urls_engines_answer = urls_engines.answer
    urls_engines.answer = lambda result: (
        result if isinstance(result, StreamingHttpResponse) else urls_engines_answer(result)
    )
    try:
        assert "sessionid" in (await avisit(view)).cookies
    finally:
        urls_engines.answer = urls_engines_answer


class CookieByHost(SessionMiddleware):
    """As sites with several domains write it, for Django's own: both methods ask the database."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if "closed" in request.GET or User.objects.count():
            return HttpResponse("closed", status=503)
        return super().process_request(request)  # type: ignore[no-any-return]

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        response = super().process_response(request, response)
        if "sessionid" in response.cookies and not User.objects.count():
            response.cookies["sessionid"]["domain"] = "shop.example"
        return response


async def test_methods_of_a_subclass_are_called_as_django_calls_them(
    engine: str, avisit: Visit, settings: Any
) -> None:
    settings.MIDDLEWARE = [f"{__name__}.CookieByHost"]
    first = await avisit(awrite(x=1))
    assert first.cookies["sessionid"]["domain"] == "shop.example"
    assert (await avisit(aread)).content == b"[('x', 1)]"


async def test_subclass_may_answer_itself(avisit: Visit, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.CookieByHost"]
    assert (await avisit(query_params={"closed": ""})).content == b"closed"
    response = await sync_to_async(Client().get)("/", {"closed": ""})
    assert (response.status_code, response.content) == (503, b"closed")


async def test_async_method_of_a_subclass_goes_before(avisit: Visit, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.OwnAnswer"]
    assert (await avisit(awrite(x=1))).headers["X-Own"] == "async"


class OwnAnswer(CookieByHost):
    async def aprocess_response(self, request: HttpRequest, response: Any) -> Any:
        response = await super().aprocess_response(request, response)
        response.headers["X-Own"] = "async"
        return response


@pytest.mark.parametrize("backend", ["signed_cookies", "cache"])
async def test_django_s_engines_work_under_our_middleware(
    avisit: Visit, settings: Any, backend: str
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{backend}"
    settings.SESSION_SAVE_EVERY_REQUEST = True
    assert (await avisit(awrite(x=1))).cookies["sessionid"]["max-age"] == WEEK
    assert (await avisit(aread)).content == b"[('x', 1)]"
    assert "sessionid" in (await avisit()).cookies


async def test_our_engines_work_under_the_stock_middleware(
    engine: str, avisit: Visit, settings: Any
) -> None:
    settings.MIDDLEWARE = [STOCK_MIDDLEWARE]
    await avisit(awrite(x=1))
    assert (await avisit(aread)).content == b"[('x', 1)]"


async def test_store_works_alone_as_channels_uses_it(store: Any) -> None:
    """Channels' SessionMiddleware: SessionStore(cookie), then `await save`, no request at all."""
    first = store()
    await first.aset("x", 1)
    await first.asave()
    session = store(first.session_key)
    assert await sync_to_async(session.get)("x") == 1
    await sync_to_async(session.__setitem__)("y", 2)
    await sync_to_async(session.save)()
    assert dict(await store(session.session_key).aitems()) == {"x": 1, "y": 2}
