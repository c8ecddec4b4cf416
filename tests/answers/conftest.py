"""Visits through the real handlers, under WSGI and ASGI: a test sees what a browser sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import AsyncClient, Client

from tests import urls_engines
from tests.helpers import asgi

# What a test calls: `ask(view, cookies="sessionid=a; sessionid=b", **kwargs of Client.get)`.
Ask = Callable[..., Any]


class Raw(Client):
    """Sends a Cookie header as it is."""

    def __init__(self, header: str) -> None:
        super().__init__()
        self._header = header

    def _base_environ(self, **request: Any) -> Any:
        return super()._base_environ(**request) | {"HTTP_COOKIE": self._header}


class AsyncRaw(AsyncClient):
    """See Raw."""

    def __init__(self, header: str) -> None:
        super().__init__()
        self._header = header.encode("ascii")

    def _base_scope(self, **request: Any) -> Any:
        scope = super()._base_scope(**request)
        others = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
        return scope | {"headers": [*others, (b"cookie", self._header)]}


class Asker:
    """A browser with a jar of its own, or with the Cookie header that a test writes."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.client: Any = AsyncClient() if mode == "asgi" else Client()

    def __call__(
        self, view: Any = urls_engines.untouched, cookies: str | None = None, **kwargs: Any
    ) -> Any:
        urls_engines.Page.view = staticmethod(view)
        browser = self.client
        if cookies is not None:  # the client's own jar holds one of a name
            browser = (AsyncRaw if self.mode == "asgi" else Raw)(cookies)
        path = kwargs.pop("path", "/")
        if self.mode == "asgi":
            return asgi.run(browser.get, path, **kwargs)
        return browser.get(path, **kwargs)

    def another(self) -> Asker:
        """Return a browser with a copy of the cookies."""
        other = Asker(self.mode)
        for name, morsel in self.client.cookies.items():
            other.client.cookies[name] = morsel.value
        return other

    @property
    def cookie(self) -> str:
        morsel = self.client.cookies.get("sessionid")
        return morsel.value if morsel else ""


@pytest.fixture(params=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest, settings: Any) -> Iterator[Asker]:
    settings.ROOT_URLCONF = "tests.urls_engines"
    yield Asker(request.param)
    urls_engines.Page.view = staticmethod(urls_engines.untouched)
