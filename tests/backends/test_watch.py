"""`async with session.watch():` is left with SessionEnded when the session is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any
from unittest.mock import AsyncMock

import pytest
import time_machine
from asgiref.sync import sync_to_async
from django.contrib.auth import HASH_SESSION_KEY, alogin, aupdate_session_auth_hash
from django.contrib.auth.models import User
from django.db import DatabaseError, connections
from django.http import HttpRequest
from django.test import AsyncClient

from django_jwtsession.backends import live
from django_jwtsession.exceptions import SessionEnded
from django_jwtsession.models import Session
from django_jwtsession.revocation import (
    arevoke_session,
    arevoke_user_sessions,
    get_feed,
)
from django_jwtsession.revocation.feed import Feed, FeedUnavailable
from tests.conftest import DAY, ENGINES
from tests.helpers.watching import Judgements, leave, so_far, stay

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_connection")]


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch) -> Judgements:
    """Look each few milliseconds; `await judged()` waits until all have been judged anew."""
    monkeypatch.setattr(live, "_LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(live, "_SHORTEST_PAUSE", 0.01)
    return Judgements(monkeypatch)


@pytest.fixture
def moved() -> Iterator[Callable[[float], None]]:
    """Move the clock on by some seconds; it runs on."""
    with time_machine.travel(time.time(), tick=True) as traveller:
        yield lambda seconds: traveller.shift(timedelta(seconds=seconds))


def store_class(engine: str) -> Any:
    return import_module(ENGINES[engine]).SessionStore


@pytest.fixture
async def client(engine: str, django_user_model: Any) -> AsyncClient:
    """A browser in which ada is logged in."""
    user = await sync_to_async(django_user_model.objects.create_user)("ada", password="x")
    client = AsyncClient()
    await client.aforce_login(user)
    return client


@pytest.fixture
async def session(engine: str, client: AsyncClient) -> Any:
    """The session as a request to a socket or a stream brings it."""
    store = store_class(engine)(client.cookies["sessionid"].value)
    assert await store.aget("_auth_user_id")
    return store


async def ada() -> User:
    return await User.objects.aget(username="ada")


@pytest.fixture
def entered(judged: Judgements) -> Callable[[Any], Awaitable[asyncio.Task[bool]]]:
    """Return a task that stays in the block of a session, once that has been judged there."""

    async def enter(session: Any) -> asyncio.Task[bool]:
        waiting = asyncio.create_task(stay(session))
        await judged(waiting.done)
        assert not waiting.done()
        return waiting

    return enter


@pytest.fixture
def is_left_after(entered: Any) -> Callable[..., Awaitable[bool]]:
    """Wait until the block is left that was entered before a change."""

    async def is_left(session: Any, change: Callable[[], Awaitable[Any]]) -> bool:
        waiting: asyncio.Task[bool] = await entered(session)
        await change()
        return await waiting

    return is_left


@pytest.fixture
def goes_on_after(entered: Any, judged: Judgements) -> Callable[..., Awaitable[bool]]:
    """Tell whether the block that was entered before a change is not left for it."""

    async def goes_on(session: Any, change: Callable[[], Awaitable[Any]]) -> bool:
        waiting: asyncio.Task[bool] = await entered(session)
        await change()
        await judged(waiting.done)
        if waiting.done():
            return not await waiting
        await leave(waiting)
        return True

    return goes_on


async def deactivate() -> None:
    user = await ada()
    user.is_active = False
    await user.asave()


async def change_password() -> None:
    user = await ada()
    await sync_to_async(user.set_password)("another")
    await user.asave()


async def with_new_password() -> User:
    """Return the user, whose password has been changed as her own view would: nothing has ended."""
    user = await ada()
    await sync_to_async(user.set_password)("another")
    await User.objects.filter(pk=user.pk).aupdate(password=user.password)
    return user


async def delete_user() -> None:
    await (await ada()).adelete()


async def end_all() -> None:
    await arevoke_user_sessions(await ada())


@pytest.mark.parametrize("change", [deactivate, change_password, delete_user, end_all])
async def test_block_is_left_when_the_user_is_let_in_no_more(
    session: Any, change: Callable[[], Awaitable[Any]], is_left_after: Any
) -> None:
    assert await is_left_after(session, change)


async def test_block_is_left_when_the_session_is_revoked(session: Any, is_left_after: Any) -> None:
    assert await is_left_after(session, lambda: arevoke_session(session.sid))


async def test_block_is_left_at_a_logout(
    session: Any, client: AsyncClient, is_left_after: Any
) -> None:
    assert await is_left_after(session, client.alogout)


async def test_block_of_a_session_that_is_over_is_not_entered(session: Any) -> None:
    await arevoke_session(session.sid)
    entered = False
    with pytest.raises(SessionEnded):
        async with session.watch():
            entered = True
    assert not entered


async def test_cookie_that_opens_nothing_enters_no_block(
    engine: str, session: Any, client: AsyncClient
) -> None:
    await arevoke_session(session.sid)
    with pytest.raises(SessionEnded):
        async with store_class(engine)(client.cookies["sessionid"].value).watch():
            pass


async def test_block_of_a_session_that_goes_on_is_left_as_it_ends(
    session: Any, judged: Judgements
) -> None:
    async with session.watch():
        await judged()


async def test_visitor_without_a_session_is_not_watched(engine: str) -> None:
    async with store_class(engine)().watch():
        assert not live._watchers


async def test_idle_end_leaves_the_block(
    session: Any, moved: Any, settings: Any, is_left_after: Any
) -> None:
    async def wait() -> None:
        moved(settings.SESSION_COOKIE_AGE + 1)

    assert await is_left_after(session, wait)


async def test_absolute_end_leaves_the_block(session: Any, moved: Any, is_left_after: Any) -> None:
    async def wait() -> None:
        moved(91 * DAY)

    assert await is_left_after(session, wait)


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
async def test_session_that_others_extend_goes_on(
    session: Any, client: AsyncClient, moved: Any, engine: str, goes_on_after: Any
) -> None:
    async def extend() -> None:
        moved(6 * DAY)
        assert await store_class(engine)(client.cookies["sessionid"].value).arefresh()
        moved(3 * DAY)  # past the end that was known at first

    assert await goes_on_after(session, extend)


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
async def test_row_deleted_by_sql_is_found_within_thirty_seconds(
    session: Any, moved: Any, is_left_after: Any
) -> None:
    async def delete() -> None:
        await Session._base_manager.all().adelete()
        moved(live.LOOK_EVERY + 1)

    assert await is_left_after(session, delete)


async def test_user_changed_by_sql_is_found_within_thirty_seconds(
    session: Any, moved: Any, judged: Judgements, is_left_after: Any
) -> None:
    async def deactivate_quietly() -> None:
        await User.objects.aupdate(is_active=False)
        moved(live.LOOK_EVERY)
        await judged()
        moved(1)  # it is looked at twice

    assert await is_left_after(session, deactivate_quietly)


def request_with(session: Any) -> Any:
    request: Any = HttpRequest()
    request.session = session
    return request


async def test_later_epoch_is_no_end(
    session: Any, client: AsyncClient, engine: str, judged: Judgements, goes_on_after: Any
) -> None:
    async def prove() -> None:
        other = store_class(engine)(client.cookies["sessionid"].value)
        await other.aprove()
        await other.asave()
        await judged()
        assert await session.ais_over()  # which asks for its own epoch

    assert await goes_on_after(session, prove)


async def test_own_new_password_is_no_end_and_the_next_one_by_staff_is(
    session: Any,
    client: AsyncClient,
    engine: str,
    moved: Any,
    judged: Judgements,
    entered: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A busy machine may take long from the new password to the session that knows of it.
    monkeypatch.setattr(live, "_DOUBT", live.LOOK_EVERY)

    async def change_own() -> None:
        request = request_with(store_class(engine)(client.cookies["sessionid"].value))
        request.user = user = await with_new_password()
        request.auser = AsyncMock(return_value=user)
        await aupdate_session_auth_hash(request, user)
        await request.session.asave()
        await judged()
        moved(live.LOOK_EVERY + 1)

    waiting = await entered(session)
    await change_own()
    await judged(waiting.done)
    assert not waiting.done()
    await change_password()
    assert await waiting


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
async def test_look_between_the_epoch_of_a_new_password_and_its_hash_ends_nothing(
    session: Any,
    client: AsyncClient,
    engine: str,
    moved: Any,
    judged: Judgements,
    entered: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "_DOUBT", live.LOOK_EVERY)
    waiting = await entered(session)
    user, own = await with_new_password(), store_class(engine)(client.cookies["sessionid"].value)
    await own.acycle_key()  # as update_session_auth_hash() does, before it stores the hash
    await judged(waiting.done)
    await own.aset(HASH_SESSION_KEY, user.get_session_auth_hash())
    await own.asave()
    moved(live.LOOK_EVERY + 1)
    await judged(waiting.done)
    await leave(waiting)


@pytest.mark.parametrize("engine", ["hybrid"], indirect=True)
async def test_view_that_is_half_way_through_a_new_password_ends_nothing(
    session: Any, monkeypatch: pytest.MonkeyPatch, judged: Judgements
) -> None:
    monkeypatch.setattr(live, "_DOUBT", 0.0)
    answers = iter([False, True])
    monkeypatch.setattr(live, "not_let_in", lambda all_: [] if next(answers, True) else list(all_))
    async with session.watch():
        await judged()
    assert next(answers, None) is None  # it was looked at twice


async def test_other_user_who_logs_in_ends_it(
    session: Any, client: AsyncClient, engine: str, django_user_model: Any, is_left_after: Any
) -> None:
    async def log_in_as_bob() -> None:
        bob = await sync_to_async(django_user_model.objects.create_user)("bob")
        request = request_with(store_class(engine)(client.cookies["sessionid"].value))
        await alogin(request, bob, "django.contrib.auth.backends.ModelBackend")

    assert await is_left_after(session, log_in_as_bob)


async def test_login_does_not_end_what_an_anonymous_visitor_has_opened(
    engine: str, django_user_model: Any, goes_on_after: Any
) -> None:
    request = request_with(store_class(engine)())
    await request.session.aset("cart", 1)
    await request.session.asave()
    visitor = store_class(engine)(request.session.token)
    assert await visitor.aget("cart") == 1

    async def log_in() -> None:
        user = await sync_to_async(django_user_model.objects.create_user)("ada")
        later = request_with(store_class(engine)(request.session.token))
        await alogin(later, user, "django.contrib.auth.backends.ModelBackend")
        await later.session.asave()

    assert await goes_on_after(visitor, log_in)


async def test_cancellation_by_others_stays_one(session: Any, entered: Any) -> None:
    waiting = await entered(session)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_stream_ends_with_what_it_says_itself(session: Any, judged: Judgements) -> None:
    async def stream() -> Any:
        try:
            async with session.watch():
                while True:
                    yield "going on"
                    await asyncio.sleep(0.01)
        except SessionEnded:
            yield "over"

    async def read() -> list[str]:
        return [chunk async for chunk in stream()]

    reading = asyncio.create_task(read())
    await judged()
    await arevoke_session(session.sid)
    assert (await reading)[-1] == "over"


async def test_nothing_runs_once_nobody_watches(session: Any) -> None:
    async with session.watch():
        assert live._watchers
    await so_far(lambda: not live._watchers)


# --- one question for all ------------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a server, where the feed is asked."""
    monkeypatch.setattr("django_jwtsession.revocation.feed.in_test_environment", lambda: False)


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that the watcher's thread executes, as they come."""
    found: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        found.append(sql)
        return execute(sql, *args)

    before = live._refresh, live.look

    def noting(function: Any) -> Any:
        def call(*args: Any) -> Any:
            with connections["default"].execute_wrapper(note):
                return function(*args)

        return call

    monkeypatch.setattr(live, "_refresh", noting(before[0]))
    monkeypatch.setattr(live, "look", noting(before[1]))
    return found


async def test_hundred_watched_cost_what_one_costs(
    session: Any,
    client: AsyncClient,
    engine: str,
    questions: list[str],
    moved: Any,
    judged: Judgements,
) -> None:
    stores = [store_class(engine)(client.cookies["sessionid"].value) for _ in range(100)]
    for store in stores:
        await store.aget("")
    waiting = [asyncio.create_task(stay(store)) for store in stores]
    await judged()
    # The first look at rows and users; the next comes in 30 s.
    assert 1 <= len(questions) <= 2, questions
    questions.clear()
    moved(live.LOOK_EVERY)
    await judged()
    assert 1 <= len(questions) <= 2, questions
    for each in waiting:
        await leave(each)


async def test_feed_is_asked_once_for_all(
    session: Any,
    client: AsyncClient,
    engine: str,
    served: None,
    judged: Judgements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Feed] = []
    ask = Feed._ask_once

    def note(feed: Feed, max_age: float | None) -> None:
        asked.append(feed)
        ask(feed, max_age)

    monkeypatch.setattr(Feed, "_ask_once", note)
    stores = [store_class(engine)(client.cookies["sessionid"].value) for _ in range(100)]
    waiting = [asyncio.create_task(stay(store)) for store in stores]
    await judged()
    asked.clear()  # loading asks once or twice
    get_feed()._next_ask = 0.0
    await so_far(lambda: bool(asked))
    await judged()
    assert len(asked) <= 3, len(asked)
    for each in waiting:
        await leave(each)


async def test_database_out_of_reach_ends_them_only_once_nobody_can_tell(
    session: Any, served: None, entered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(feed: Feed) -> None:
        raise FeedUnavailable("out of reach")

    waiting = await entered(session)
    monkeypatch.setattr(live, "_refresh", fail)
    get_feed()._next_ask = 0.0
    with pytest.raises(DatabaseError):
        await waiting
