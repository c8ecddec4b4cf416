"""Channels: its own session and auth middleware, as they are."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.auth import AuthMiddlewareStack, login
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.test import Client

from tests.conftest import ENGINES

from ..site import PAGES, happened, sign_in, user_of
from .conftest import PASSWORD

urlpatterns = PAGES
pytestmark = pytest.mark.django_db(transaction=True)


class Consumer(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content: Any) -> None:
        session = self.scope["session"]
        if name := content.get("login"):
            user = await User.objects.aget(username=name)
            await login(self.scope, user, "django.contrib.auth.backends.ModelBackend")
            await sync_to_async(session.save)()
        name = await sync_to_async(lambda: self.scope["user"].get_username())()
        key = await sync_to_async(lambda: session.session_key)()
        await self.send_json({"user": name, "key": key})


async def talk(cookie: str, content: Any) -> Any:
    headers = [(b"cookie", f"sessionid={cookie}".encode())] if cookie else []
    socket = WebsocketCommunicator(AuthMiddlewareStack(Consumer.as_asgi()), "/ws/", headers=headers)
    assert (await socket.connect())[0]
    await socket.send_json_to(content)
    answer = await socket.receive_json_from(3)
    await socket.disconnect()
    return answer


def test_socket_knows_the_user_of_the_cookie(browser: Client, ada: Any) -> None:
    sign_in(browser, "ada", PASSWORD)
    cookie = browser.cookies["sessionid"].value
    assert async_to_sync(talk)(cookie, {})["user"] == "ada"
    assert async_to_sync(talk)("", {})["user"] == ""
    browser.post("/logout/")
    assert async_to_sync(talk)(cookie, {})["user"] == ""


def test_login_in_a_consumer_is_kept(browser: Client, ada: Any, engine: str) -> None:
    browser.get("/who/?x=1")
    answer = async_to_sync(talk)(browser.cookies["sessionid"].value, {"login": "ada"})
    assert answer["user"] == "ada"
    assert import_module(ENGINES[engine]).SessionStore(answer["key"])["_auth_user_id"]
    assert user_of(browser) == ""  # its cookie is of before the login, as with Django's engines
    assert happened("login") == []  # Channels' signal has no request, and so no device
