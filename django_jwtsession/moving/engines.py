"""Session engines of others: what one has under a cookie, and a new session of theirs.

An engine is a module with a SessionStore, as Django's. One that keeps rows is asked for the row, so
that nothing it has beside the data is lost and nothing is made by looking.
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.signed_cookies import SessionStore as SignedCookies
from django.core import signing
from django.core.exceptions import SuspiciousOperation
from django.db import router, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from ..backends import rows
from ..backends.knowledge import Incoming
from ..conf.moving import OldEngine
from ..models.times import as_of_today, to_datetime
from . import notes
from .foreign import Cannot, login_time

# What Django's engines make and some of others; nothing that a database or a cache chokes on.
_is_key = re.compile(r"[A-Za-z0-9_-]{8,64}").fullmatch
_LONGEST_COOKIE = 8192


class Engine:
    """Another session engine. `find`, `take` and `open` are asked for one cookie's value each."""

    # Whether its cookie can be read after the session was moved: there is nothing to delete.
    is_stateless = False

    def __init__(self, path: str, cookie: str | None = None, serializer: str | None = None) -> None:
        self.cookie = cookie
        self._serializer = serializer
        self.store: type[SessionBase] = import_module(path).SessionStore

    @classmethod
    def of(cls, old: OldEngine) -> Engine:
        """Return the engine that an entry of MIGRATE_FROM names."""
        return _engine(old.engine, old.cookie, old.serializer)

    @cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.store.__init__).parameters)

    def open(self, key: str | None, environ: Mapping[str, Any]) -> Any:
        """Return the session of that engine, as its own middleware does; nothing is read yet."""
        known = {
            "ip": environ.get("REMOTE_ADDR") or None,
            "user_agent": environ.get("HTTP_USER_AGENT", ""),
        }
        more = {name: value for name, value in known.items() if name in self._parameters}
        store = self.store(session_key=key, **more)
        if self._serializer:
            store.serializer = import_string(self._serializer)
        return store

    def is_possible(self, value: str) -> bool:
        """Tell whether a cookie's value can be one of this engine's."""
        return _is_key(value) is not None

    def owner(self, value: str) -> str | None:
        """Return what stays the same of a browser's cookie, for its share; None for none."""
        return value

    def cookies(self, came: Mapping[str, str], names: Iterable[str]) -> Iterator[str]:
        """Yield the values among the cookies that can be this engine's.

        Arguments: `names` are those of the session cookie.
        """
        for name in [self.cookie] if self.cookie else names:
            value = came.get(name)
            if value and self.is_possible(value):
                yield value

    def find(self, value: str, environ: Mapping[str, Any]) -> Incoming | None:
        """Return the living session of a cookie, None if there is none.

        Raises Cannot for one that is there and cannot be read.
        """
        store = self.open(value, environ)
        try:
            if not store.exists(value):
                return None
        except SuspiciousOperation:  # no key of this engine's: its load() says nobody too
            return None
        data = store.load()
        if not data:
            return None
        return Incoming(data, _end(store, data, time.time()), login_time(data))

    def take(self, value: str, stored: Any) -> bool:
        """Delete the session inside the transaction that moves it; False if another was faster.

        Arguments: `stored` is what it held when it was read: what was written since moves too.
        """
        return True

    def forget(self, value: str) -> None:
        """Delete what no transaction can, after the move."""
        self.open(value, {}).delete(value)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction on its table, if it has one, and on the table of notes."""
        with transaction.atomic(using=notes.database()):
            yield

    def new(
        self, data: Mapping[str, Any], environ: Mapping[str, Any], ends_in: float | None = None
    ) -> Any:
        """Store a new session of this engine; it ends in so many seconds, if that is given."""
        store = self.open(None, environ)
        if ends_in is not None:
            _end_in(store, ends_in)
        store.create()
        for key, value in data.items():  # by item: some engines note the user on the way
            store[key] = value
        store.save()
        return store


class Rows(Engine):
    """An engine that keeps a row for each session: session_key, session_data, expire_date."""

    @cached_property
    def model(self) -> Any:
        return _model(self.store)

    @property
    def database(self) -> str:
        return router.db_for_write(self.model)

    def rows(self) -> Any:
        """Return its rows."""
        return self.model._base_manager.using(self.database)

    def find(self, value: str, environ: Mapping[str, Any]) -> Incoming | None:
        living = self.rows().filter(session_key=value, expire_date__gt=timezone.now())
        row = living.first()
        return None if row is None else self.read(row)

    def read(self, row: Any) -> Incoming:
        """Return what a row holds. Raises Cannot for what cannot be read."""
        store = self.open(row.session_key, {})
        data = store.decode(row.session_data)
        if not data:
            raise Cannot("is empty, or cannot be read with this SECRET_KEY and serializer")
        seen = getattr(row, "last_activity", None) or getattr(row, "updated_at", None)
        created = getattr(row, "created_at", None)
        return Incoming(
            data,
            row.expire_date.timestamp(),
            login_time(data),
            None if created is None else created.timestamp(),
            None if seen is None else seen.timestamp(),
            _environ(row),
            row.session_data,
        )

    def take(self, value: str, stored: Any) -> bool:
        return rows.delete(self.model, value, session_data=stored)

    def forget(self, value: str) -> None:
        """Delete what is left of it in a cache."""
        if hasattr(self.store, "cache_key_prefix"):
            super().forget(value)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with ExitStack() as stack:
            for alias in dict.fromkeys([self.database, notes.database()]):
                stack.enter_context(transaction.atomic(using=alias))
            yield


class Signed(Engine):
    """Django's signed_cookies: all is in the cookie, and good until it is too old."""

    is_stateless = True

    def is_possible(self, value: str) -> bool:
        return ":" in value and len(value) <= _LONGEST_COOKIE

    def owner(self, value: str) -> str | None:
        """Return the user: each save makes another cookie, and who is nobody has nothing else."""
        try:
            user = self._loads(value, settings.SESSION_COOKIE_AGE).get(SESSION_KEY)
        except Exception:  # a serializer may raise anything
            return None
        return None if user is None else str(user)

    def find(self, value: str, environ: Mapping[str, Any]) -> Incoming | None:
        store = self.open(value, environ)
        try:
            data = self._loads(value, store.get_session_cookie_age())
        except Exception:  # forged, too old, or made by another serializer: nobody's, as for Django
            return None
        if not isinstance(data, dict) or not data:
            return None
        end = _end(store, data, self._made_at(value))
        return None if end <= time.time() else Incoming(data, end, login_time(data))

    def _loads(self, value: str, max_age: int) -> Any:
        return signing.loads(
            value,
            salt="django.contrib.sessions.backends.signed_cookies",
            serializer=self.open(None, {}).serializer,
            max_age=max_age,
        )

    @staticmethod
    def _made_at(value: str) -> int:
        """Return when a cookie that is authentic was signed."""
        return signing.b62_decode(value.rsplit(":", 2)[1])

    def forget(self, value: str) -> None:
        pass


@lru_cache(16)
def _engine(path: str, cookie: str | None, serializer: str | None) -> Engine:
    store = import_module(path).SessionStore
    if issubclass(store, SignedCookies):
        return Signed(path, cookie, serializer)
    return (Engine if _model(store) is None else Rows)(path, cookie, serializer)


def engine_of(path: str) -> Engine:
    """Return the engine with that path. Raises ImportError and AttributeError for none."""
    return _engine(path, None, None)


def _model(store: type[SessionBase]) -> Any:
    """Return the model of an engine with rows, by Django's way or in its module; None for none."""
    if hasattr(store, "get_model_class"):
        return store.get_model_class()
    module = import_module(store.__module__)
    model = getattr(module, "Session", None)
    return model if hasattr(model, "_meta") else None


def _end(store: Any, data: dict[str, Any], saved_at: float) -> float:
    """Return the end (Unix time) of a session with `data` that was saved at that time."""
    expiry = data.get("_session_expiry")
    age = store.get_session_cookie_age()
    if isinstance(expiry, (str, datetime)):
        expiry = as_of_today(expiry)
    if expiry:
        age = store.get_expiry_age(expiry=expiry, modification=to_datetime(saved_at))
    return saved_at + float(age)


def _end_in(store: Any, seconds: float) -> None:
    """Have a session end then, whatever else its engine and its data say."""
    age = max(int(seconds), 1)
    end = timezone.now() + timedelta(seconds=age)

    def get_expiry_age(**kwargs: Any) -> int:
        return age

    def get_expiry_date(**kwargs: Any) -> datetime:
        return end

    store.get_expiry_age, store.get_expiry_date = get_expiry_age, get_expiry_date


def _environ(row: Any) -> dict[str, Any] | None:
    """Return the device in the columns of a row, as a request's META has it; None for none."""
    agent, address = getattr(row, "user_agent", None), getattr(row, "ip", None)
    if not agent and not address:
        return None
    return {"HTTP_USER_AGENT": agent or "", "REMOTE_ADDR": address or ""}
