"""Websockets of Channels: the session at the handshake, and the end of a socket with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any

import pytest
import time_machine
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from django_jwtsession.backends import live
from django_jwtsession.contrib.channels import (
    SESSION_ENDED,
    SessionConsumerMixin,
    SessionEndMiddleware,
    SessionMiddleware,
)
from django_jwtsession.models import SessionEvent
from django_jwtsession.revocation import arevoke_session
from tests.conftest import DAY, ENGINES
from tests.helpers.watching import LONG, Judgements, so_far

channels_auth: Any = pytest.importorskip("channels.auth")
consumers: Any = pytest.importorskip("channels.generic.websocket")
testing: Any = pytest.importorskip("channels.testing")
sessions: Any = pytest.importorskip("channels.sessions")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_connection")]

MOVED_ON = 6 * DAY  # more than half of the idle time of the tests' settings


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch) -> Judgements:
    """Look each few milliseconds; `await judged()` waits until all have been judged anew."""
    monkeypatch.setattr(live, "_LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(live, "_SHORTEST_PAUSE", 0.01)
    return Judgements(monkeypatch)


@pytest.fixture
def moved() -> Iterator[Callable[[float], None]]:
    with time_machine.travel(time.time(), tick=True) as traveller:
        yield lambda seconds: traveller.shift(timedelta(seconds=seconds))


@pytest.fixture
async def client(engine: str, django_user_model: Any) -> AsyncClient:
    """A browser in which ada is logged in."""
    user = await sync_to_async(django_user_model.objects.create_user)("ada", password="x")
    client = AsyncClient()
    await client.aforce_login(user)
    session = import_module(ENGINES[engine]).SessionStore(client.cookies["sessionid"].value)
    await session.aget("")
    await session.areissue()  # a login by Django's test client leaves the key
    client.cookies["sessionid"] = session.token
    return client


class Echo(consumers.AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """Answers with what it knows of its visitor; does what it is told."""

    left: list[int] = []  # noqa: RUF012

    async def receive_json(self, content: Any) -> None:
        session = self.scope["session"]
        if "set" in content:
            await session.aset("x", content["set"])
            await session.asave()
        if "login" in content:
            from django.contrib.auth.models import User

            user, _ = await User.objects.aget_or_create(username=content["login"])
            backend = "django.contrib.auth.backends.ModelBackend"
            await channels_auth.login(self.scope, user, backend)
            await sync_to_async(session.save)()
        name = await sync_to_async(lambda: getattr(self.scope.get("user"), "username", None))()
        await self.send_json({"user": name, "x": await session.aget("x"), "sid": session.sid})

    async def disconnect(self, code: int) -> None:
        self.left.append(code)


class Writing(Echo):
    """Writes to the session before it accepts."""

    async def connect(self) -> None:
        await self.scope["session"].aset("x", "written")
        await self.accept()


class EndsByMixin(SessionConsumerMixin, Echo):
    pass


class EndsBySyncMixin(
    SessionConsumerMixin,
    consumers.JsonWebsocketConsumer,  # type: ignore[misc]
):
    left = Echo.left

    def receive_json(self, content: Any, **kwargs: Any) -> None:
        self.send_json({"sid": self.scope["session"].sid})

    def disconnect(self, code: int) -> None:
        self.left.append(code)


def application(consumer: Any = Echo) -> Any:
    inner = consumer.as_asgi()
    return SessionMiddleware(channels_auth.AuthMiddleware(SessionEndMiddleware(inner)))


def communicator(app: Any, client: Any = None) -> Any:
    Echo.left.clear()
    cookie = client.cookies.get("sessionid") if client is not None else None
    header = [(b"cookie", f"sessionid={cookie.value}".encode())] if cookie else []
    return testing.WebsocketCommunicator(app, "/ws/", headers=header)


class Handshake:
    """A socket that was opened, and the cookies of its handshake's answer."""

    def __init__(self, socket: Any, accepted: dict[str, Any]) -> None:
        self.socket = socket
        self.cookies: Any = SimpleCookie()
        for name, value in accepted.get("headers") or ():
            if name.lower() == b"set-cookie":
                self.cookies.load(value.decode())

    async def ask(self, **content: Any) -> Any:
        await self.socket.send_json_to(content)
        return await self.socket.receive_json_from(LONG)


async def opened(app: Any, client: Any = None) -> Handshake:
    socket = communicator(app, client)
    await socket.send_input({"type": "websocket.connect"})
    accepted = await socket.receive_output(LONG)
    assert accepted["type"] == "websocket.accept"
    return Handshake(socket, accepted)


async def test_handshake_knows_the_user_and_sets_a_cookie_only_with_what_was_read(
    client: AsyncClient, engine: str
) -> None:
    shake = await opened(application(), client)
    # A websocket may write: hybrid reads the row, and hands out a new copy of it.
    assert bool(shake.cookies) == (engine == "hybrid")
    assert (await shake.ask())["user"] == "ada"
    await shake.socket.disconnect()
    assert Echo.left == [1000]


async def test_handshake_extends_a_session_that_is_due(
    client: AsyncClient, moved: Any, engine: str
) -> None:
    moved(MOVED_ON)
    shake = await opened(application(), client)
    await shake.socket.disconnect()
    cookie = shake.cookies["sessionid"]
    assert int(cookie["max-age"]) == 7 * DAY
    assert cookie["httponly"]
    moved(MOVED_ON)  # the one from before has expired by now
    store = import_module(ENGINES[engine]).SessionStore(cookie.value)
    assert await store.aget("_auth_user_id")


async def test_handshake_that_says_it_is_passive_extends_nothing(
    client: AsyncClient, moved: Any, engine: str
) -> None:
    moved(MOVED_ON)
    socket = communicator(application(), client)
    socket.scope["headers"].append((b"x-session-passive", b"1"))
    await socket.send_input({"type": "websocket.connect"})
    shake = Handshake(socket, await socket.receive_output(LONG))
    await socket.disconnect()
    cookie = shake.cookies.get("sessionid") or client.cookies["sessionid"]
    moved(2 * DAY)
    store = import_module(ENGINES[engine]).SessionStore(cookie.value)
    assert not await store.aget("_auth_user_id")


async def test_what_is_written_before_the_answer_is_saved_with_it(
    engine: str, client: AsyncClient
) -> None:
    shake = await opened(application(Writing), client)
    await shake.socket.disconnect()
    changed = shake.cookies.get("sessionid") or client.cookies["sessionid"]
    store = import_module(ENGINES[engine]).SessionStore(changed.value)
    assert await store.aget("x") == "written"


async def test_first_visit_gets_its_cookie_at_the_handshake(engine: str) -> None:
    shake = await opened(application(Writing))
    await shake.socket.disconnect()
    assert shake.cookies["sessionid"].value


async def test_no_cookie_is_no_session_and_the_socket_stays_open(engine: str) -> None:
    shake = await opened(application())
    assert (await shake.ask())["user"] == ""
    assert not shake.cookies
    await shake.socket.disconnect()


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
async def test_consumer_saves_what_it_changes_later(client: AsyncClient, engine: str) -> None:
    shake = await opened(application(), client)
    await shake.ask(set="later")
    await shake.socket.disconnect()
    store = import_module(ENGINES[engine]).SessionStore(client.cookies["sessionid"].value)
    assert await store.aget("x") == "later"


@pytest.mark.parametrize("engine", ["db", "hybrid"], indirect=True)
async def test_login_in_a_consumer_is_a_login(client: AsyncClient) -> None:
    shake = await opened(application(), client)
    await shake.ask(login="ada")
    await shake.socket.disconnect()
    assert await SessionEvent.objects.filter(kind="login").acount() >= 1


async def close_code(shake: Handshake) -> int:
    message = await shake.socket.receive_output(LONG)
    assert message["type"] == "websocket.close"
    await shake.socket.wait(LONG)
    code: int = message["code"]
    return code


async def test_socket_closes_with_4401_when_its_session_is_revoked(client: AsyncClient) -> None:
    shake = await opened(application(), client)
    await arevoke_session((await shake.ask())["sid"])
    assert await close_code(shake) == SESSION_ENDED == 4401
    assert Echo.left == [4401]


async def test_socket_closes_at_the_idle_end(
    client: AsyncClient, moved: Any, settings: Any
) -> None:
    shake = await opened(application(), client)
    await shake.ask()
    moved(settings.SESSION_COOKIE_AGE + 1)
    assert await close_code(shake) == SESSION_ENDED


@pytest.mark.parametrize("consumer", [EndsByMixin, EndsBySyncMixin])
async def test_mixin_closes_a_consumer_under_the_session_middleware_of_channels(
    client: AsyncClient, consumer: Any
) -> None:
    app = sessions.SessionMiddlewareStack(consumer.as_asgi())
    shake = await opened(app, client)
    await arevoke_session((await shake.ask())["sid"])
    assert await close_code(shake) == SESSION_ENDED
    assert Echo.left == [4401]


async def test_socket_of_an_epoch_that_has_passed_stays_open(
    client: AsyncClient, engine: str, judged: Judgements
) -> None:
    shake = await opened(application(), client)
    await shake.ask()
    other = import_module(ENGINES[engine]).SessionStore(client.cookies["sessionid"].value)
    await other.aprove()
    await other.asave()
    await judged()
    assert await shake.socket.receive_nothing()
    assert (await shake.ask())["user"] == "ada"
    await shake.socket.disconnect()


async def test_socket_whose_session_ends_before_it_is_watched_is_opened_and_closed(
    client: AsyncClient, engine: str
) -> None:
    store = import_module(ENGINES[engine]).SessionStore(client.cookies["sessionid"].value)
    assert await store.aget("_auth_user_id")
    await arevoke_session(store.sid)
    socket = communicator(SessionEndMiddleware(Echo.as_asgi()))
    socket.scope["session"] = store
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output(LONG))["type"] == "websocket.accept"
    assert (await socket.receive_output(LONG))["code"] == SESSION_ENDED
    await socket.wait(LONG)


async def test_cookie_that_opens_nothing_is_a_visitor_as_over_http(client: AsyncClient) -> None:
    shake = await opened(application(), client)
    await arevoke_session((await shake.ask())["sid"])
    await close_code(shake)
    again = await opened(application(), client)
    assert (await again.ask())["user"] == ""
    await again.socket.disconnect()


async def test_other_traffic_passes_untouched(engine: str) -> None:
    seen: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    scope = {"type": "lifespan"}
    await SessionMiddleware(SessionEndMiddleware(inner))(scope, None, None)  # type: ignore[arg-type]
    assert seen == [scope]


async def test_watcher_is_gone_when_all_sockets_are(client: AsyncClient) -> None:
    shake = await opened(application(), client)
    await shake.ask()
    assert live._watchers
    await shake.socket.disconnect()
    await so_far(lambda: not live._watchers)
