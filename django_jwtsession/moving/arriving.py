"""MIGRATE_FROM: a cookie that is no token of ours is offered, once, to the engine of before.

It blocks; the middleware calls it in a thread where a request is async.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import IntegrityError
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from ..backends import login_policy
from ..backends.base import TokenSession
from ..backends.data import AUTH_KEYS, POLICY_KEY, user_of
from ..backends.knowledge import Ended, Incoming
from ..backends.options import options
from ..conf import get_config
from ..exceptions import SessionTooLarge
from ..models.retry import run_again
from ..revocation.feed import get_feed
from . import notes
from .engines import Engine
from .foreign import Cannot
from .notes import MOVED_KEY
from .ours import is_ours
from .sources import Source, sources
from .staying import session_of_who_stays

logger = logging.getLogger("django_jwtsession")

_SHARES = 2**64
# A session that another server writes to between the reading and the move is read again.
_TRIES = 5


def session_of(request: HttpRequest, store: type[Any]) -> Any:
    """Return the session of a request that comes with a cookie of before; None for any other.

    That is one of ours that has just been made of it or was before, or, of browsers that are not to
    move yet, one of the engine of before.
    """
    names = names_of_session()
    if not issubclass(store, TokenSession):
        return None
    if any(is_ours(request.COOKIES.get(name, "")) for name in names):
        return None
    came = [
        (source, value) for source in sources() for value in source.cookies(request.COOKIES, names)
    ]
    if not came:
        return None if has_all() else _of_before(request)
    for value in dict.fromkeys(value for _, value in came):
        asked = [source for source, theirs in came if theirs == value]
        session = _session_of_cookie(request, store, asked, value)
        if session is not None:
            return session
    return _nobody(request, store, names)


def names_of_session() -> list[str]:
    """Return the names that the session cookie has and had."""
    return list(dict.fromkeys([options.name, *(place.name for place in options.was)]))


def has_all() -> bool:
    """Tell whether all browsers move."""
    return get_config().migrate_share >= 1


def moves_now(owner: str | None) -> bool:
    """Tell whether a browser is of those that move: by a hash, the same on each server."""
    if has_all():
        return True
    if owner is None:
        return False
    number = int.from_bytes(sha256(owner.encode("utf-8", "replace")).digest()[:8])
    return number < get_config().migrate_share * _SHARES


def session_of_before(request: HttpRequest, store: type[Any], engine: Engine) -> Any:
    """Return the living session of another engine that a cookie names, without moving it.

    Of `engine`, or one that MIGRATE_FROM names; None for none.
    """
    names = names_of_session()
    asked = [engine, *(source for source in sources() if isinstance(source, Engine))]
    for source in dict.fromkeys(asked):
        for value in source.cookies(request.COOKIES, names):
            if _can_be_read(source, value, request):
                digest = notes.digest_of("in", value)
                return session_of_who_stays(request, store, source, value, digest)
    return None


def _can_be_read(source: Engine, value: str, request: HttpRequest) -> bool:
    try:
        return source.find(value, request.META) is not None
    except Cannot:
        return False


def _of_before(request: HttpRequest, key: str | None = None) -> Any:
    """Return a session of the engine of before, for who is not to move: the first that has any."""
    found = (source.open(key, request.META) for source in sources())
    return next((session for session in found if session is not None), None)


def _nobody(request: HttpRequest, store: type[Any], names: list[str]) -> Any:
    """Return the session of a visitor whose cookies nobody knows."""
    if not has_all():
        return _of_before(request)
    session = store()
    if any(name in request.COOKIES for name in names):
        session.ended = Ended.NO_TOKEN
    return session


def _session_of_cookie(
    request: HttpRequest, store: type[Any], asked: list[Source], value: str
) -> Any:
    """Return the session of one cookie of before, None if nobody knows it."""
    digest = notes.digest_of("in", value)
    note = notes.find(digest)
    if note is not None:
        return notes.lead(store, note)
    for source in asked:
        if not moves_now(source.owner(value)):
            return session_of_who_stays(request, store, source, value, digest)
        try:
            return _moved(request, store, source, value, digest)
        except Cannot as error:
            _tell(error)
            return source.open(value, request.META) or notes.refused(store)
        except _Unknown:
            continue
    # A parallel request may have moved it just now, between the two questions.
    note = notes.find(digest)
    return None if note is None else notes.lead(store, note)


class _Moved(Exception):
    """Another request was faster: it has moved the session, or written to it."""


class _Unknown(Exception):
    """There is no such session, or it has ended."""


def _moved(request: HttpRequest, store: type[Any], source: Source, value: str, digest: str) -> Any:
    """Return what a session has become, now or by another request; see _move()."""
    for _ in range(_TRIES):
        try:
            return _move(request, store, source, value, digest)
        except _Moved:
            note = notes.find(digest)
            if note is not None:
                return notes.lead(store, note)
    raise Cannot("is written to without end")


def _move(request: HttpRequest, store: type[Any], source: Source, value: str, digest: str) -> Any:
    """Make a session of ours of another engine's, once. Raises _Moved, _Unknown or Cannot."""
    old = source.find(value, request.META)
    if old is None:
        raise _Unknown
    stored = old.stored
    old = _judged(old, request)
    if old is None:  # its user has ended it, or has another password
        source.take(value, stored)
        source.forget(value)
        raise _Unknown
    environ = old.environ or request.META
    old = replace(old, data={**old.data, MOVED_KEY: digest}, environ=environ)
    moved: Incoming = old
    session = run_again(notes.database(), lambda: _made(store, source, value, digest, moved))
    source.forget(value)
    session.environ, session.passive, session.leads_from = request.META, False, digest
    session.cookie_due = session.accessed = True
    return session


def _made(store: type[Any], source: Source, value: str, digest: str, old: Incoming) -> Any:
    """Make the session, with the end of the old one and the note of it: all, or nothing."""
    session = store()
    with source.transaction():
        if not source.take(value, old.stored):
            raise _Moved
        try:
            session.move_in(old)
        except SessionTooLarge as error:
            raise Cannot(f"is too large for a cookie: {error.size} bytes") from None
        except (TypeError, ValueError, OverflowError) as error:
            raise Cannot(f"cannot be written: {type(error).__name__}") from None
        try:
            notes.write(notes.new_note(digest, session.session_key, note_end(old.expires_at)))
        except IntegrityError:
            raise _Moved from None
    return session


def note_end(expires_at: float) -> float:
    """Return until when the cookie of before could be good, however often it was extended."""
    return max(expires_at, time.time() + settings.SESSION_COOKIE_AGE)


# --- whose it is ----------------------------------------------------------------------------------


def _judged(old: Incoming, request: HttpRequest) -> Incoming | None:
    """Return the session as far as its user is still logged in; None if it is to end."""
    if user_of(old.data) is None:
        return old
    user = _user_in(old.data)
    if user is None:
        return anonymous(old)
    if _has_other_password(old.data, user) or has_ended(old):
        return None
    config = get_config()
    if config.policy is None or POLICY_KEY in old.data:
        return old
    kept = login_policy.kept(login_policy.ask(config, user, request), wants_persistent=False)
    return replace(old, data=old.data | {POLICY_KEY: kept}) if kept else old


def anonymous(old: Incoming) -> Incoming | None:
    """Return the session without its user, who is gone; None if nothing else is in it."""
    data = {key: value for key, value in old.data.items() if key not in AUTH_KEYS}
    return replace(old, data=data, logged_in_at=None) if data else None


def has_ended(old: Incoming) -> bool:
    """Tell whether all sessions of its user have ended since it began, as far as is known."""
    feed = get_feed()
    feed.refresh(0.0)
    began = old.logged_in_at or old.created_at or 0.0
    return feed.ended_before(str(user_of(old.data))) > began


def _user_in(data: Mapping[str, Any]) -> Any:
    """Return the user of a session's data, None for one who is gone or may not log in."""
    try:
        pk = get_user_model()._meta.pk.to_python(data[SESSION_KEY])
        return load_backend(data[BACKEND_SESSION_KEY]).get_user(pk)
    except (KeyError, ValidationError, ImportError, AttributeError, ImproperlyConfigured):
        return None


def _has_other_password(data: Mapping[str, Any], user: Any) -> bool:
    """Tell whether the user's password is another one than at the login, as Django asks it."""
    if not hasattr(user, "get_session_auth_hash"):
        return False
    stored = str(data.get(HASH_SESSION_KEY) or "")
    fallbacks = getattr(user, "get_session_auth_fallback_hash", lambda: ())
    hashes: Iterator[str] = iter((user.get_session_auth_hash(), *fallbacks()))
    return not any(constant_time_compare(stored, one) for one in hashes)


_told: set[str] = set()


def _tell(error: Cannot) -> None:
    """Say once of each kind that a session stays with the engine of before."""
    kind = str(error).partition(":")[0]
    if kind not in _told:
        _told.add(kind)
        logger.warning(
            "A session of the engine of before stays there: it %s."
            " `manage.py jwtsession migrate --dry-run` counts them.",
            error,
        )
