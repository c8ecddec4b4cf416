"""Sites with sessions of other engines, whose tables are there for these tests alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import override_settings

from .. import urls_engines
from ..helpers.visitor import MODES, Visitor

BACKEND = "django.contrib.auth.backends.ModelBackend"
DB = "django.contrib.sessions.backends.db"
SIGNED = "django.contrib.sessions.backends.signed_cookies"
USERS = "user_sessions.backends.db"
OLD = [
    DB,
    "django.contrib.sessions.backends.cached_db",
    "django.contrib.sessions.backends.cache",
    SIGNED,
    USERS,
    "qsessions.backends.db",
    "qsessions.backends.cached_db",
]
FILE = "django.contrib.sessions.backends.file"
# Packages with engines, by the name of their app, which is in INSTALLED_APPS where they are here.
_PACKAGES = {"user_sessions": "django-user-sessions", "qsessions": "django-qsessions"}
_HERE = [name for name in _PACKAGES if find_spec(name) is not None]


@pytest.fixture(scope="session")
def old_tables(django_db_setup: None, django_db_blocker: Any) -> Iterator[list[str]]:
    """The apps of other engines, with their tables."""
    installed = ["django.contrib.sessions", *_HERE]
    everything = [*django_settings.INSTALLED_APPS, *installed]
    with django_db_blocker.unblock(), override_settings(INSTALLED_APPS=everything):
        models = [apps.get_model(label, "Session") for label in ("sessions", *_HERE)]
        with connection.schema_editor() as editor:
            for model in models:
                editor.create_model(model)
    _leave_admin(models)
    yield installed
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        for model in models:
            editor.delete_model(model)


def _leave_admin(models: list[Any]) -> None:
    """Their admins are not installed in other tests, whose lists of apps would look for them."""
    for model in models:
        if admin.site.is_registered(model):
            admin.site.unregister(model)


@pytest.fixture(autouse=True)
def old_apps(old_tables: list[str], db: None) -> Iterator[None]:
    """The apps of other engines are installed."""
    cache.clear()
    with override_settings(INSTALLED_APPS=[*django_settings.INSTALLED_APPS, *old_tables]):
        yield
        # A test with transactions of its own is cleared up after when they are installed no more.
        for label in ("sessions", *_HERE):
            apps.get_model(label, "Session").objects.all().delete()


class Old(NamedTuple):
    """An engine of before, by its path."""

    path: str

    @property
    def store(self) -> Any:
        return import_module(self.path).SessionStore

    def new(self, data: dict[str, Any], **more: Any) -> str:
        """Make a session there; return the value of its cookie."""
        store = self.store(**more)
        store.create()
        for name, value in data.items():
            store[name] = value
        store.save()
        return str(store.session_key)

    def login(self, user: Any, **data: Any) -> str:
        """Make a session in which the user is logged in."""
        return self.new(login_data(user) | data)

    def has(self, key: str) -> bool:
        """Tell whether the session is still there."""
        return bool(self.store().exists(key))

    @property
    def is_stateless(self) -> bool:
        return self.path == SIGNED


def login_data(user: Any) -> dict[str, Any]:
    """What Django's login() stores."""
    return {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: BACKEND,
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }


def old_of(path: str) -> Old:
    """Return the engine of before with this path; skip where its package is not installed."""
    name = path.partition(".")[0]
    if name in _PACKAGES and name not in _HERE:
        if os.environ.get("CI"):
            pytest.fail(f"{_PACKAGES[name]} is missing")
        pytest.skip(f"pip install {_PACKAGES[name]}")
    return Old(path)


def old_rows() -> int:
    """Return how many rows the tables of the engines of before have."""
    labels = ("sessions", *_HERE)
    return sum(apps.get_model(label, "Session").objects.count() for label in labels)


@pytest.fixture(params=OLD, ids=lambda path: path.replace("django.contrib.sessions.backends.", ""))
def old(request: pytest.FixtureRequest) -> Old:
    """Each engine of before."""
    return old_of(request.param)


@pytest.fixture
def old_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Old:
    """Django's engine of files, which stands for all that have Django's methods and no table."""
    monkeypatch.setattr(Old(FILE).store, "_storage_path", str(tmp_path), raising=False)
    return Old(FILE)


@pytest.fixture
def old_db() -> Old:
    return Old(DB)


@pytest.fixture
def moving_in(settings: Any) -> Any:
    """Have the site take over from an engine: `moving_in(old, MIGRATE_SHARE=0.5)`."""
    settings.ROOT_URLCONF = "tests.urls_engines"

    def set_up(old: Old | None, **more: Any) -> None:
        settings.JWTSESSION = ({} if old is None else {"MIGRATE_FROM": old.path}) | more

    return set_up


@pytest.fixture(params=MODES)
def browser(request: pytest.FixtureRequest) -> Visitor:
    """A browser whose requests are sync, or async."""
    return Visitor(request.param)


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password="correct horse")


def meanwhile(act: Callable[[], Any]) -> Any:
    """Do something with another browser while a request goes on."""
    view = urls_engines.Page.view
    try:
        return act()
    finally:
        urls_engines.Page.view = staticmethod(view)
