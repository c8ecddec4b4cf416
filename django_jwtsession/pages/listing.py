"""The sessions of one user as pages show them, whatever the engine; and ending one of them.

Engines with rows know them all. The cookie engine has none: there the logins of the history are
listed that nothing is known to have ended, without a word on when they were last used.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import router
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import pgettext

from ..backends.base import TokenSession
from ..conf import get_config
from ..devices import clients as devices
from ..devices.locations import location
from ..exceptions import BadToken
from ..history.known import device_of
from ..models.tables import AbstractSession, SessionEvent
from ..models.times import to_datetime
from ..revocation.ending import revoke_session
from ..revocation.logins import Login, ended_of
from ..revocation.reasons import EndReason
from ..tokens.sid import uuid_from_sid
from .names import names_of
from .phrases import ago, ahead

# More than anybody has: a program that logs in at each call must not make the page endless.
_MOST = 1000
ENDS = (SessionEvent.Kind.LOGOUT, SessionEvent.Kind.REVOKED, *SessionEvent.COPIED)


@dataclass(frozen=True)
class Listed:
    """A session as pages show it; `last_seen_at` is None where nobody knows."""

    sid: str
    words: str
    kind: str
    # What stays the same when a browser is updated; empty where nobody can tell.
    device: tuple[str, str, str]
    ip_address: str | None
    signed_in_at: datetime | None
    last_seen_at: datetime | None = None
    expires_at: datetime | None = None
    is_own: bool = False
    is_bound: bool = False
    name: str = ""
    # Of those that all words are the same of, from the second on.
    number: int = 0

    @property
    def signed_in(self) -> str:
        """When the login was: "3 days ago"."""
        return "" if self.signed_in_at is None else ago(self.signed_in_at)

    @property
    def is_active(self) -> bool:
        """Tell whether the session is in use, as exactly as LAST_SEEN_EVERY lets one know."""
        if self.last_seen_at is None:
            return self.is_own
        age = (timezone.now() - self.last_seen_at).total_seconds()
        return self.is_own or age < get_config().last_seen_every + 60

    @property
    def last_seen(self) -> str:
        """When the session was last used: "2 hours ago"."""
        return "" if self.last_seen_at is None else ago(self.last_seen_at)

    @property
    def expires(self) -> str:
        """When the session ends if it is not used again: "in 6 days"."""
        return "" if self.expires_at is None else ahead(self.expires_at)

    @property
    def place(self) -> str:
        """Where the address is, where the site says so (JWTSESSION["LOCATION"])."""
        return location(self.ip_address)

    @property
    def title(self) -> str:
        """The name that the user gave the device, else the device."""
        return self.name or self.words

    @property
    def label(self) -> str:
        """All that tells this session from the user's others, for those who hear one button."""
        parts = [self.title, self.words if self.name else "", self.ip_address or ""]
        if self.signed_in_at is not None:
            parts.append(pgettext("sessions", "Signed in %(time)s") % {"time": self.signed_in})
        if self.number:
            parts.append(str(self.number))
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Group:
    """The sessions of one device, as far as the user's names and user agents tell devices apart."""

    title: str
    kind: str
    sessions: list[Listed]
    # Of them all, where `sessions` are those of one page.
    number: int


def sessions_of(request: HttpRequest) -> list[Listed]:
    """Return the sessions of the request's user: this one first, then the last seen.

    Those of one device stand together.
    """
    sid = _own_sid(request)
    model = _model(request)
    found = _own_history(request) if model is None else _from_rows(request, model)
    own = [one for one in found if one.is_own] or [_own(request, sid)]
    names, bound = names_of(request.user.pk), bound_among([one.sid for one in found])
    named = [
        replace(one, name=names.get(one.sid, ""), is_bound=one.sid in bound)
        for one in (*own, *(one for one in found if not one.is_own))
    ]
    return _numbered(one for group in groups_of(named) for one in group.sessions)


def bound_among(sids: list[str]) -> Collection[str]:
    """Return which of some sessions are bound to a key in their devices, as far as an app says."""
    return TokenSession.bindings.bound(sids) if TokenSession.bindings is not None else ()


def groups_of(sessions: Iterable[Listed], among: Iterable[Listed] = ()) -> list[Group]:
    """Return sessions by device: that of the first session first.

    Arguments: `among` are all of the user's, where `sessions` are those of one page.
    """
    found, every = _by_device(sessions), _by_device(among)
    return [
        Group(_title_of(group), group[0].kind, group, len(every.get(key, group)))
        for key, group in found.items()
    ]


def _by_device(sessions: Iterable[Listed]) -> dict[Any, list[Listed]]:
    found: dict[Any, list[Listed]] = {}
    for one in sessions:
        found.setdefault(_device_key(one), []).append(one)
    return found


def _device_key(one: Listed) -> Any:
    """A name is the user's word; without one, nobody knows whether two unknown ones are the same.

    So no session stands among those of a device that has a name, but by that name.
    """
    if one.name:
        return one.name
    return one.device if any(one.device[:2]) else one.sid


def _title_of(group: list[Listed]) -> str:
    first = group[0]
    if first.name or len(group) == 1:
        return first.title
    return devices.words(first.device[0], first.device[1])


def _numbered(sessions: Iterable[Listed]) -> list[Listed]:
    """Tell those apart that have the same label, by a number."""
    seen: dict[str, int] = {}
    numbered = []
    for one in sessions:
        count = seen[one.label] = seen.get(one.label, 0) + 1
        numbered.append(replace(one, number=count) if count > 1 else one)
    return numbered


def find(request: HttpRequest, sid: str) -> Listed | None:
    """Return a session of the request's user, None where there is no such session."""
    return next((one for one in sessions_of(request) if one.sid == sid), None)


def end_session(request: HttpRequest, sid: str) -> Listed | None:
    """End a session of the request's user; return it, None where there is no such session."""
    pk, model = _pk_of(sid), _model(request)
    if pk is None:
        return None
    if model is None:
        found = {one.sid: one for one in _own_history(request)}.get(sid)
        if found is not None:
            revoke_session(sid, by=request.user, reason=EndReason.USER)
        return found
    rows = model.objects.filter(pk=pk, user_id=request.user.pk)
    row = rows.in_force().defer("data").first()
    if row is None or not rows.revoke(by=request.user, reason=EndReason.USER):
        return None
    return _of_row(row, "")


def was_of_user(request: HttpRequest, sid: str) -> bool:
    """Tell whether the history has a session of this id that was the request's user's."""
    if _pk_of(sid) is None:
        return False
    events = SessionEvent.objects.using(router.db_for_write(SessionEvent))
    return events.filter(user=request.user.pk, sid=sid).exists()


def number_of(user: Any) -> int:
    """Return how many sessions a user has with the site's engine, as far as is known."""
    model = engine_model()
    if model is None:
        return len(_from_history(user.pk, user._meta.pk.value_to_string(user), ""))
    return int(model.objects.filter(user_id=user.pk).in_force().count())


def engine_model() -> Any:
    """Return the model of the site's engine, None where its rows are not ours or it has none."""
    try:
        store = import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):  # `manage.py check` says what to write
        return None
    # Django's engine has a model as well, which cannot be imported if its app is not installed.
    if not issubclass(store, TokenSession) or not hasattr(store, "get_model_class"):
        return None
    model = store.get_model_class()
    return model if issubclass(model, AbstractSession) else None


def _pk_of(sid: str) -> UUID | None:
    try:
        return uuid_from_sid(sid)
    except (BadToken, ValueError):  # a letter that no sid has
        return None


def _model(request: HttpRequest) -> Any:
    """Return the model of the request's session, None where its engine has no rows."""
    session: Any = request.session
    if not isinstance(session, TokenSession):
        return None
    get_model_class = getattr(session, "get_model_class", None)
    return None if get_model_class is None else get_model_class()


def _own_sid(request: HttpRequest) -> str:
    return getattr(request.session, "sid", None) or ""


def _own(request: HttpRequest, sid: str) -> Listed:
    """Return the session of this request, from what the request tells."""
    device = devices.columns(request.META, get_config())
    at = getattr(request.session, "auth_time", None)
    return Listed(
        sid=sid,
        words=devices.words(device["browser"], device["os"]),
        kind=device["device"],
        device=device_of(SessionEvent(**device)),
        ip_address=device["ip_address"],
        signed_in_at=None if at is None else to_datetime(at),
        expires_at=_own_end(request),
        is_own=True,
    )


def _own_end(request: HttpRequest) -> datetime | None:
    at = getattr(request.session, "expires_at", None)
    return None if at is None else to_datetime(at)


def _from_rows(request: HttpRequest, model: Any) -> list[Listed]:
    sid = _own_sid(request)
    rows = model.objects.filter(user_id=request.user.pk).in_force().defer("data")
    return [_of_row(row, sid) for row in rows.order_by("-last_seen_at", "pk")[:_MOST]]


def _of_row(row: Any, own_sid: str) -> Listed:
    return Listed(
        sid=row.sid,
        words=row.device_words,
        kind=row.device,
        device=device_of(row),
        ip_address=row.ip_address,
        signed_in_at=row.authenticated_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        is_own=row.sid == own_sid,
    )


def _own_history(request: HttpRequest) -> list[Listed]:
    own = _own_sid(request)
    found = _from_history(request.user.pk, request.session.get(SESSION_KEY), own)
    return [replace(one, expires_at=_own_end(request)) if one.is_own else one for one in found]


def _from_history(user_id: Any, subject: Any, own: str) -> list[Listed]:
    """Return a user's logins that nothing is known to have ended, newest first.

    Arguments: `subject` is the user's pk as sessions have it, `own` the request's own sid.
    """
    config = get_config()
    events = SessionEvent.objects.using(router.db_for_write(SessionEvent)).filter(
        user=user_id,
        created_at__gt=to_datetime(time.time() - config.absolute_age),
    )
    begun = list(events.filter(kind__in=SessionEvent.BEGINS).order_by("-created_at")[:_MOST])
    ended = set(events.filter(kind__in=ENDS).values_list("sid", flat=True))
    ended |= ended_of(Login(one.sid, subject, one.created_at.timestamp()) for one in begun)
    found: dict[str, Listed] = {}
    for event in begun:
        sid = event.sid
        if sid in found or sid in ended:
            continue
        found[sid] = Listed(
            sid=sid,
            words=event.device_words,
            kind=event.device,
            device=device_of(event),
            ip_address=event.ip_address,
            signed_in_at=event.created_at,
            is_own=sid == own,
        )
    return list(found.values())
