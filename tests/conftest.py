"""What many tests need: engines, a user, a clock that stands still, and a page to visit."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from typing import Any
from uuid import uuid4

import django.urls
import pytest
import time_machine
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import Client
from hypothesis import settings as hypothesis_settings

from django_jwtsession.backends.answer import optional_writes
from django_jwtsession.backends.process import superseded, written
from django_jwtsession.backends.refusals import refusals
from django_jwtsession.devices.places import sightings
from django_jwtsession.pages import throttle
from django_jwtsession.revocation import feed
from tests import urls_engines

ENGINES = {
    "cookie": "django_jwtsession.backends.cookie",
    "db": "django_jwtsession.backends.db",
    "hybrid": "django_jwtsession.backends.hybrid",
}
# A busy machine makes single examples slow: that is no failure.
hypothesis_settings.register_profile("tests", deadline=None)
hypothesis_settings.load_profile("tests")

# Tests name a few URLconfs again and again, and none changes: what Django knows of each is kept.
django.urls.clear_url_caches = lambda: None

STOCK_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"
OUR_MIDDLEWARE = "django_jwtsession.middleware.SessionMiddleware"
DAY = 86400
WEEK = 7 * DAY
# 1000 s into a week of the key ring, so that few tests meet the next week's key by accident.
NOW = 2922 * WEEK + 1000


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process knows of ended and written sessions belongs to one test; so do wrong tries."""
    monkeypatch.setattr(throttle, "prefix", uuid4().hex)
    yield
    feed.forget()
    refusals.clear()
    superseded.forget()
    written.forget()
    optional_writes.forget()
    sightings.forget()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Each engine in turn, by its short name; it is the site's."""
    settings.SESSION_ENGINE = ENGINES[request.param]
    name: str = request.param
    return name


@pytest.fixture
def store(engine: str) -> Any:
    """The SessionStore class of each engine in turn."""
    return import_module(ENGINES[engine]).SessionStore


@pytest.fixture
def db_engine(settings: Any) -> None:
    settings.SESSION_ENGINE = ENGINES["db"]


@pytest.fixture
def cookie_engine(settings: Any) -> None:
    settings.SESSION_ENGINE = ENGINES["cookie"]


@pytest.fixture
def user(db: None) -> User:
    return get_user_model().objects.create_user("ada", password="correct horse")


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that stands still at NOW until `clock.shift(seconds)`."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
async def own_connection() -> AsyncIterator[None]:
    """Close the connection of the thread in which async code runs its queries."""
    yield
    await sync_to_async(connections.close_all)()


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name functions by their name: pytest-xdist needs the same ids in every process."""
    return getattr(val, "__qualname__", None) if callable(val) else None


Visit = Callable[..., Any]


@pytest.fixture
def visit(client: Client, settings: Any) -> Iterator[Visit]:
    """Visit the page with a view: `visit(lambda request: request.session["x"])`."""
    settings.ROOT_URLCONF = "tests.urls_engines"

    def visit(
        view: urls_engines.View = urls_engines.untouched, *, by: Client = client, **kwargs: Any
    ) -> Any:
        urls_engines.Page.view = staticmethod(view)
        return by.get("/", **kwargs)

    yield visit
    urls_engines.Page.view = staticmethod(urls_engines.untouched)


@pytest.fixture
def security_log(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The records of django.security.jwtsession so far (the list grows)."""
    caplog.set_level(logging.DEBUG, "django.security.jwtsession")
    return Records(caplog)  # type: ignore[return-value]


class Records:
    """The records of one logger, looked up when asked."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __iter__(self) -> Iterator[logging.LogRecord]:
        found = self._caplog.records
        return iter([r for r in found if r.name == "django.security.jwtsession"])

    def __len__(self) -> int:
        return len(list(iter(self)))


def write(**values: Any) -> urls_engines.View:
    """Return a view that writes to the session."""

    def view(request: HttpRequest) -> str:
        request.session.update(values)
        return "written"

    return view


def read(request: HttpRequest) -> HttpResponse:
    """A view that shows the session's data."""
    return HttpResponse(repr(sorted(request.session.items())))


def cookie(client: Client) -> str:
    """Return the value of the client's session cookie, "" for none."""
    morsel = client.cookies.get("sessionid")
    return morsel.value if morsel else ""
