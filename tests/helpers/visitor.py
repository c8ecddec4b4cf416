"""A browser in the test's process, sync or async, that does one thing to its session a visit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import alogin, alogout, login, logout
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client

from tests import urls_engines

from . import asgi

MODES = ["sync", "async"]


def session_key(request: HttpRequest) -> str | None:
    """Return the key of the session, loaded."""
    request.session.get("")
    return request.session.session_key


class Visitor:
    """One cookie jar. Every method makes one request of `urls_engines`' page."""

    def __init__(self, mode: str = "sync", cookie: str = "") -> None:
        self.mode = mode
        self.client: Any = self._new_client()
        self.response: Any = None
        if cookie:
            self.cookie = cookie

    def _new_client(self) -> Any:
        # A client's middleware is that of the settings at its first request.
        self._site = settings.SESSION_ENGINE, list(settings.MIDDLEWARE)
        return AsyncClient() if self.mode == "async" else Client()

    def _same_site(self) -> None:
        """Follow a change of the settings."""
        if self._site != (settings.SESSION_ENGINE, list(settings.MIDDLEWARE)):
            cookies, raises = self.client.cookies, self.client.raise_request_exception
            self.client = self._new_client()
            self.client.cookies, self.client.raise_request_exception = cookies, raises

    @property
    def cookie(self) -> str:
        """The session cookie's value, "" for none."""
        morsel = self.client.cookies.get("sessionid")
        return morsel.value if morsel else ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.cookies["sessionid"] = value

    def copy(self) -> Visitor:
        """Return somebody who holds a copy of this cookie."""
        return Visitor(self.mode, self.cookie)

    @property
    def got(self) -> str | None:
        """The session cookie of the last answer: None for none, "" where it deletes."""
        morsel = self.response.cookies.get("sessionid")
        return None if morsel is None else morsel.value

    @property
    def status(self) -> int:
        """The status of the last answer."""
        status: int = self.response.status_code
        return status

    def send(
        self, sync: Callable[[Any], Any], asynchronous: Any, method: str, **headers: Any
    ) -> Any:
        """Visit the page with a view, or its async form; return what it found."""
        self._same_site()
        found: list[Any] = []

        def view(request: HttpRequest) -> HttpResponse:
            found.append(sync(request))
            return HttpResponse()

        async def aview(request: HttpRequest) -> HttpResponse:
            found.append(await asynchronous(request))
            return HttpResponse()

        is_async = self.mode == "async"
        urls_engines.Page.view = staticmethod(aview if is_async else view)
        visit = getattr(self.client, method)
        if is_async:
            visit = partial(asgi.run, visit)
        self.response = visit("/async/" if is_async else "/", headers=headers)
        return found[0] if found else None

    def do(self, act: Callable[[Any], Any], method: str = "post", **headers: Any) -> Any:
        """Do something with the request in a sync view, whatever the mode; return its result."""
        mode, self.mode = self.mode, "sync"
        client, self.client = self.client, Client()
        self.client.cookies = client.cookies
        try:
            return self.send(act, None, method, **headers)
        finally:
            self.mode, self.client = mode, client

    def open(self, path: str) -> Any:
        """GET another page of the site, which leaves its cookie here."""
        return self._other("get", path)

    def post(self, path: str, data: dict[str, Any]) -> Any:
        """POST a form to another page of the site, which leaves its cookie here."""
        return self._other("post", path, data)

    def _other(self, method: str, *args: Any) -> Any:
        client = Client()
        client.cookies = self.client.cookies
        self.response = getattr(client, method)(*args)
        return self.response

    def data(self, method: str = "get", **headers: Any) -> dict[str, Any]:
        """Return the session's data, without Django's own keys."""

        async def items(request: Any) -> Any:
            return dict(await request.session.aitems())

        found = self.send(lambda request: dict(request.session.items()), items, method, **headers)
        found = copy.deepcopy(found or {})
        return {key: value for key, value in found.items() if not key.startswith("_")}

    def who(self, method: str = "get", **headers: Any) -> str:
        """Return the name of the user who is logged in, "" for nobody."""

        async def auser(request: Any) -> str:
            return str((await request.auser()).get_username())

        found = self.send(lambda request: request.user.get_username(), auser, method, **headers)
        return found or ""

    def sid(self) -> str | None:
        """Return the session's id."""

        async def asid(request: Any) -> Any:
            await request.session.aget("")
            return request.session.sid

        sid: str | None = self.send(lambda request: request.session.sid, asid, "get")
        return sid

    def key(self) -> str:
        """Return the session's key."""
        return str(
            self.do(lambda request: (request.session.get(""), request.session.session_key)[1])
        )

    def put(self, method: str = "post", **values: Any) -> None:
        """Write to the session."""

        async def aput(request: Any) -> None:
            for key, value in values.items():
                await request.session.aset(key, value)

        self.send(lambda request: request.session.update(values), aput, method)

    def login(self, user: Any) -> None:
        """Log in, or prove who one is: the same for Django."""
        self.send(
            lambda request: login(request, user, "django.contrib.auth.backends.ModelBackend"),
            lambda request: alogin(request, user, "django.contrib.auth.backends.ModelBackend"),
            "post",
        )
        assert self.status == 200, self.status

    def logout(self) -> None:
        """Log out."""
        self.send(logout, alogout, "post")
