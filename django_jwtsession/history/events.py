"""The login history as SessionEvent rows: logins, failed logins, logouts, new and changed devices.

What ends sessions writes its own events (revocation.py). No failure here breaks a login or logout.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.local import Local
from django.contrib.auth import get_user_model
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.db import DatabaseError, close_old_connections, router, transaction
from django.dispatch import Signal
from django.http import HttpRequest

from ..conf import get_config
from ..devices import clients as devices
from ..models.savepoints import savepoint
from ..models.tables import SessionEvent
from ..models.times import to_datetime
from ..signals import new_device

logger = logging.getLogger("django_jwtsession")

# A user's devices that a login is compared with: more than people have, less than a table scan.
_DEVICES_COMPARED = 500

# Changes of one session that are recorded: a phone on the move must not fill the table.
_CHANGES_NOTED = 50

# Failed logins of this request that its transaction may still roll back.
_pending = Local()

P = ParamSpec("P")
T = TypeVar("T")


def _guarded(write: Callable[P, T]) -> Callable[P, T | None]:
    """Log what `write` raises; in a savepoint, so that it breaks no transaction around it either.

    No context manager: entering the savepoint may fail as well, where the database is out of reach.
    """

    @wraps(write)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            with savepoint(_database()):
                return write(*args, **kwargs)
        except Exception:  # the database, a router, a user model of another kind
            logger.warning("The session history could not be written.", exc_info=True)
            return None

    return guarded


def note_login(request: HttpRequest, user: Any) -> None:
    """Record a login with a session of this package, and whether its device is a new one."""
    session: Any = request.session
    common = {
        "sid": session.sid,
        "user_id": user.pk,
        "created_at": to_datetime(session.auth_time),
        "detail": devices.remembered_name(request.COOKIES, user),
        **devices.columns(request.META, get_config()),
    }
    event = _write_login(common)
    if event is not None:
        tell(
            new_device,
            sender=type(session),
            sid=event.sid,
            user_id=user.pk,
            environ=request.META,
            event=event,
        )


@_guarded
def _write_login(columns: dict[str, Any]) -> SessionEvent | None:
    """Write the events of a login; return that of a new device, if it is one."""
    login = SessionEvent(kind=SessionEvent.Kind.LOGIN, **columns)
    if not _is_new(login):  # as nearly always; a statement without a transaction around it
        login.save(using=_database(), force_insert=True)
        return None
    event = SessionEvent(kind=SessionEvent.Kind.NEW_DEVICE, **columns)
    return SessionEvent.objects.using(_database()).bulk_create([login, event])[1]


@_guarded
def note_change(sid: str, environ: Mapping[str, Any]) -> None:
    """Record, once for each, that a session is used on another device or from another address.

    Arguments: `environ` is the META of the request. Nothing is recorded of a session whose login is
    not in the history (any more): there is nothing to compare with.
    """
    events = SessionEvent.objects.using(_database())
    kinds = (SessionEvent.Kind.LOGIN, SessionEvent.Kind.CHANGED)
    known = list(events.filter(sid=sid, kind__in=kinds).order_by()[: _CHANGES_NOTED + 1])
    if not 0 < len(known) <= _CHANGES_NOTED:
        return
    event = SessionEvent(
        kind=SessionEvent.Kind.CHANGED,
        sid=sid,
        user_id=known[0].user_id,
        **devices.columns(environ, get_config()),
    )
    if not any(_same(event, one) for one in known):
        event.save(using=_database())


@_guarded
def note_logout(request: HttpRequest, user: Any) -> None:
    """Record that a user has ended the session of this request."""
    SessionEvent.objects.using(_database()).create(
        kind=SessionEvent.Kind.LOGOUT,
        sid=getattr(request.session, "sid", None) or "",
        user_id=user.pk,
        actor_id=user.pk,
        **devices.columns(request.META, get_config()),
    )


def note_failed_login(credentials: Mapping[str, Any], request: HttpRequest | None) -> None:
    """Record a failed login of a known user; what was typed for an unknown one is kept nowhere.

    A transaction that the request runs in may be rolled back: the record is written after it then.
    """
    name = credentials.get(get_user_model().USERNAME_FIELD, credentials.get("username"))
    if not isinstance(name, str) or not name or "\0" in name:  # PostgreSQL takes no NUL
        return
    columns = {} if request is None else devices.columns(request.META, get_config())
    if request is not None and _in_transaction():
        _pending.failed = [*getattr(_pending, "failed", ()), (name, columns)]
    else:
        _write_failed(name, columns)


def write_pending(**kwargs: Any) -> None:
    """Write what had to wait for the end of the request."""
    failed = getattr(_pending, "failed", ())
    if failed:
        del _pending.failed
        for name, columns in failed:
            _write_failed(name, columns)
        close_old_connections()  # Django's own look at them may already be over


@_guarded
def _write_failed(name: str, columns: dict[str, Any]) -> None:
    users = get_user_model()._default_manager
    try:
        user = users.get_by_natural_key(name)
    except (ObjectDoesNotExist, MultipleObjectsReturned, ValueError):
        return
    SessionEvent.objects.using(_database()).create(
        kind=SessionEvent.Kind.LOGIN_FAILED, user_id=user.pk, **columns
    )


def tell(signal: Signal, **kwargs: Any) -> None:
    """Send a signal whose receivers can break nothing.

    What they raise is logged by Django; where that has broken the transaction of the request, it
    goes back to where it was before them.
    """
    try:
        with transaction.atomic(using=_database()) if _in_transaction() else nullcontext():
            signal.send_robust(**kwargs)
    except DatabaseError:
        logger.warning("What receivers of a signal had written was undone.", exc_info=True)


def after_commit(function: Callable[[], None]) -> None:
    """Call the function now, or once the transaction of the request has been committed."""
    if _in_transaction():
        transaction.on_commit(function, using=_database(), robust=True)
    else:
        function()


def _is_new(event: SessionEvent) -> bool:
    """Tell whether the user of a login has logged in before, and never on its device."""
    user_id: Any = event.user_id
    logins = SessionEvent.objects.using(_database()).filter(user_id=user_id, kind=event.kind)
    # As nearly always; who logs in a thousand times a month must not have them all compared.
    if logins.filter(browser=event.browser, os=event.os, device=event.device).exists():
        return False
    known = _devices_of(user_id)
    return bool(known) and device_of(event) not in known


def _devices_of(user_id: Any) -> set[tuple[str, str, str]]:
    """Return the devices on which the user has logged in before, as far as the history goes."""
    logins = SessionEvent.objects.using(_database()).filter(
        user_id=user_id, kind=SessionEvent.Kind.LOGIN
    )
    rows = logins.order_by().values("browser", "os", "device").distinct()[:_DEVICES_COMPARED]
    return {device_of(SessionEvent(**row)) for row in rows}


def device_of(event: SessionEvent) -> tuple[str, str, str]:
    """Return what stays the same when a browser is updated: "Firefox 149" is "Firefox"."""
    family, _, version = event.browser.rpartition(" ")
    browser = family if family and version.isdigit() else event.browser
    return browser, event.os, event.device


def _same(event: SessionEvent, other: SessionEvent) -> bool:
    """Tell whether two events have one device and address, as far as addresses are known."""
    addresses = {event.ip_address, other.ip_address} - {None}
    return len(addresses) < 2 and device_of(event) == device_of(other)


def _database() -> str:
    return router.db_for_write(SessionEvent)


def _in_transaction() -> bool:
    """Tell whether a transaction is open that is not the one around a project's test case."""
    blocks = transaction.get_connection(_database()).atomic_blocks
    return any(not getattr(block, "_from_testcase", False) for block in blocks)
