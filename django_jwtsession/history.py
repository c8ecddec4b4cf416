"""The login history: logins, logouts and failed logins as SessionEvent rows, and new devices.

What ends sessions writes its own events (revocation.py). No failure here breaks a login or logout.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from asgiref.local import Local
from django.contrib.auth import get_user_model
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.db import close_old_connections, router, transaction
from django.http import HttpRequest

from . import devices
from .conf import get_config
from .models import SessionEvent
from .signals import new_device
from .times import to_datetime

logger = logging.getLogger("django_jwtsession")

# A user's devices that a login is compared with: more than people have, less than a table scan.
_DEVICES_COMPARED = 500

# Failed logins of this request that its transaction may still roll back.
_pending = Local()


def note_login(request: HttpRequest, user: Any) -> None:
    """Record a login with a session of this package, and whether its device is a new one."""
    session: Any = request.session
    common = {
        "sid": session.sid,
        "user_id": user.pk,
        "created_at": to_datetime(session.auth_time),
        **devices.columns(request.META, get_config()),
    }
    events = [SessionEvent(kind=SessionEvent.Kind.LOGIN, **common)]
    with _guarded():
        known = _devices_of(user.pk)
        if known and _device(events[0]) not in known:
            events.append(SessionEvent(kind=SessionEvent.Kind.NEW_DEVICE, **common))
        SessionEvent.objects.using(_database()).bulk_create(events)
        for event in events[1:]:
            new_device.send_robust(
                sender=type(session),
                sid=event.sid,
                user_id=user.pk,
                environ=request.META,
                event=event,
            )


def note_logout(request: HttpRequest, user: Any) -> None:
    """Record that a user has ended the session of this request."""
    with _guarded():
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


def _write_failed(name: str, columns: dict[str, Any]) -> None:
    users = get_user_model()._default_manager
    with _guarded():
        try:
            user = users.get_by_natural_key(name)
        except (ObjectDoesNotExist, MultipleObjectsReturned, ValueError):
            return
        SessionEvent.objects.using(_database()).create(
            kind=SessionEvent.Kind.LOGIN_FAILED, user_id=user.pk, **columns
        )


def _devices_of(user_id: Any) -> set[tuple[str, str, str]]:
    """Return the devices on which the user has logged in before, as far as the history goes."""
    logins = SessionEvent.objects.using(_database()).filter(
        user_id=user_id, kind=SessionEvent.Kind.LOGIN
    )
    rows = logins.order_by().values("browser", "os", "device").distinct()[:_DEVICES_COMPARED]
    return {_device(SessionEvent(**row)) for row in rows}


def _device(event: SessionEvent) -> tuple[str, str, str]:
    """Return what stays the same when a browser is updated: "Firefox 149" is "Firefox"."""
    family, _, version = event.browser.rpartition(" ")
    browser = family if family and version.isdigit() else event.browser
    return browser, event.os, event.device


def _database() -> str:
    return router.db_for_write(SessionEvent)


def _in_transaction() -> bool:
    """Tell whether a transaction is open that is not the one around a project's test case."""
    blocks = transaction.get_connection(_database()).atomic_blocks
    return any(not getattr(block, "_from_testcase", False) for block in blocks)


@contextmanager
def _guarded() -> Iterator[None]:
    """Log a failure; in a savepoint, so that it does not break a transaction around it either."""
    try:
        with transaction.atomic(using=_database()):
            yield
    except Exception:  # the database, a router, a user model of another kind
        logger.warning("The session history could not be written.", exc_info=True)
