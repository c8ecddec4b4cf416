"""Cookies that something else than Django has made: read once, to log their user in.

A reader is a module with `COOKIES`, the names of its cookie, `USER_ID`, the claim that names the
user, and `read(value, name, secrets)`; see contrib/migrate.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, load_backend
from django.core.exceptions import ValidationError
from django.db import transaction

from ..backends.knowledge import Incoming
from ..conf import get_config
from ..conf.moving import OldEngine, secrets_of
from ..tokens.keys import read_pem
from . import notes
from .foreign import Foreign

_LONGEST_COOKIE = 16384
# What follows the name where a cookie was too large for one.
_MOST_CHUNKS = 8


class Reader:
    """Reads the cookies of one kind; the same questions as to an engine."""

    is_stateless = True

    def __init__(self, old: OldEngine, module: Any) -> None:
        self._old = old
        self._module = module
        self.cookie = old.cookie

    @property
    def _secrets(self) -> Sequence[Any]:
        """The entry's secrets, or those of this site."""
        secret = self._old.secret
        if isinstance(secret, Mapping):
            return [{str(number): one for number, one in secret.items()}]
        return secrets_of(secret) or [
            key for key in get_config().key_sources if read_pem(key) is None
        ]

    def cookies(self, came: Mapping[str, str], names: Iterable[str]) -> Iterator[str]:
        """Yield the values of its cookies, each as `name=value`: the name is part of a key."""
        for name in [self.cookie] if self.cookie else self._module.COOKIES:
            value = came.get(name) or "".join(_chunks(came, name))
            if value and len(value) <= _LONGEST_COOKIE:
                yield f"{name}={value}"

    def owner(self, value: str) -> str | None:
        """Return the user; who comes again has another cookie of theirs."""
        found = self._read(value)
        return None if found is None else str(_member(found.claims, self._claim))

    @property
    def _claim(self) -> str:
        return self._old.user_id or self._module.USER_ID

    def _read(self, cookie: str) -> Foreign | None:
        name, _, value = cookie.partition("=")
        try:
            found: Foreign = self._module.read(value, name, self._secrets)
        except Exception:  # anybody can send anything
            return None
        return found if time.time() < found.expires_at else None

    def find(self, value: str, environ: Mapping[str, Any]) -> Incoming | None:
        """Return a session in which the cookie's user is logged in; None for nobody's cookie."""
        found = self._read(value)
        user = None if found is None else self._user(_member(found.claims, self._claim))
        if found is None or user is None:
            return None
        data = {
            SESSION_KEY: user._meta.pk.value_to_string(user),
            BACKEND_SESSION_KEY: self._old.backend,
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        return Incoming(data, found.expires_at, created_at=found.issued_at)

    def _user(self, pk: Any) -> Any:
        if type(pk) not in (str, int):
            return None
        try:
            return load_backend(self._old.backend).get_user(pk)
        except (ValueError, TypeError, OverflowError, ValidationError):  # no id of this model
            return None

    def open(self, value: str | None, environ: Mapping[str, Any]) -> Any:
        """Return None: nothing is ever written here."""
        return None

    def take(self, value: str, stored: Any) -> bool:
        return True

    def forget(self, value: str) -> None:
        pass

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with transaction.atomic(using=notes.database()):
            yield


def _chunks(came: Mapping[str, str], name: str) -> Iterator[str]:
    for number in range(_MOST_CHUNKS):
        chunk = came.get(f"{name}.{number}")
        if not chunk:
            return
        yield chunk


def _member(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim `user.id` of {"user": {"id": ..}}, None if there is none."""
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
