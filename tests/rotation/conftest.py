"""What the tests of rotation share: the hybrid engine, browsers, and a site under WSGI and ASGI."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client

from django_jwtsession.backends.process import written
from django_jwtsession.conf import get_config
from django_jwtsession.models import Session
from django_jwtsession.revocation import feed
from django_jwtsession.signals import token_reused
from django_jwtsession.tokens.claims import Claims
from tests import urls_engines
from tests.conftest import ENGINES
from tests.helpers import asgi

HOUR = 3600
GRACE = 300
WINDOW = 60
FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"


@pytest.fixture(autouse=True)
def _hybrid(settings: Any) -> Iterator[None]:
    """The hybrid engine is the site's, and this process has not written anything yet."""
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    settings.ROOT_URLCONF = "tests.urls_engines"
    forget()
    yield
    forget()


def forget() -> None:
    """Be a process that has just begun."""
    written.forget()
    feed.forget()


@pytest.fixture
def reused() -> Iterator[list[dict[str, Any]]]:
    """What `token_reused` sent, in order."""
    sent: list[dict[str, Any]] = []

    def receive(**kwargs: Any) -> None:
        sent.append(kwargs)

    token_reused.connect(receive)
    yield sent
    token_reused.disconnect(receive)


def nothing(*args: Any) -> None:
    """What happens in a view by default."""


class Browser:
    """A cookie jar that visits the site; `mode` is "wsgi" or "asgi"."""

    def __init__(self, mode: str, address: str = "192.0.2.1", agent: str = FIREFOX) -> None:
        self.mode = mode
        self.client = (AsyncClient if mode == "asgi" else Client)()
        self.headers = {"REMOTE_ADDR": address}, {"User-Agent": agent}
        self.address = "127.0.0.1" if mode == "asgi" else address
        self.agent = agent

    @property
    def cookie(self) -> str:
        morsel = self.client.cookies.get("sessionid")
        return morsel.value if morsel else ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.cookies["sessionid"] = value

    @property
    def claims(self) -> Claims:
        return get_config().codec.read(self.cookie, time.time())

    def get(
        self,
        first: Callable[[], Any] = nothing,
        then: Callable[[], Any] = nothing,
        act: Callable[[Any], Any] = nothing,
        status: int = 200,
        headers: dict[str, str] | None = None,
        **writes: Any,
    ) -> Any:
        """Visit a page; return the session data that its view read, or the response's error.

        The view calls `first`, reads the session, calls `then`, calls `act` with the session,
        writes to it, and answers with `status`.
        """
        seen: dict[str, Any] = {}

        def view(request: HttpRequest) -> HttpResponse:
            first()
            seen.update(request.session.items())
            then()
            act(request.session)
            request.session.update(writes) if writes else None
            return HttpResponse(status=status)

        async def aview(request: HttpRequest) -> HttpResponse:
            session: Any = request.session
            await sync_to_async(first)()
            seen.update(await session.aitems())
            await sync_to_async(then)()
            await sync_to_async(act)(session)
            for key, value in writes.items():
                await session.aset(key, value)
            return HttpResponse(status=status)

        urls_engines.Page.view = staticmethod(aview if self.mode == "asgi" else view)
        path = "/async/" if self.mode == "asgi" else "/"
        get = partial(asgi.run, self.client.get) if self.mode == "asgi" else self.client.get
        extra, named = self.headers
        if self.mode == "asgi":
            extra = {}
        self.response = get(path, headers=named | (headers or {}), **extra)
        return seen


@pytest.fixture(params=["wsgi", "asgi"])
def browser(request: pytest.FixtureRequest, db: None, clock: Any) -> Browser:
    """A browser with a session: {"a": 1}."""
    browser = Browser(request.param)
    browser.get(a=1)
    return browser


def another(browser: Browser, cookie: str = "", **device: str) -> Browser:
    """Return another tab, or another device, with a copy of the cookie."""
    copy = Browser(browser.mode, **device)
    copy.cookie = cookie or browser.cookie
    return copy


def rotate(browser: Browser, clock: Any) -> None:
    """Let an hour pass and the next generation be issued and confirmed."""
    clock.shift(HOUR + 1)
    browser.get()
    clock.shift(WINDOW + 1)
    browser.get()


def row() -> Session:
    return Session.objects.get()
