"""The login history as SessionEvent rows: logins, failed logins, logouts, new and changed devices.

All are written once the answer is out: in the request, they would tell by time which names exist.
What ends sessions writes its own events (revocation). No failure here breaks a login or logout.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import timedelta
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from django.db import DatabaseError, connections, transaction
from django.db.models import F
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils import timezone

from ..conf import get_config
from ..devices import clients as devices
from ..models.kinds import EventKind
from ..models.registry import event_model
from ..models.retry import run_again
from ..models.savepoints import savepoint
from ..models.times import to_datetime
from ..signals import new_device
from . import known, later, log, names, takeover

if TYPE_CHECKING:
    from ..models.tables import SessionEvent

logger = logging.getLogger("django_jwtsession")

# Changes of one session that are recorded: a phone on the move must not fill the table.
_CHANGES_NOTED = 50

# Failed logins of one user within so long are one line for each device and address, up to so many;
# whoever tries from more of them is counted in the last.
_FAILED_WITHIN = timedelta(hours=1)
_FAILED_LINES = 20

P = ParamSpec("P")
T = TypeVar("T")


def _guarded(write: Callable[P, T]) -> Callable[P, T | None]:
    """Log what `write` raises; in a savepoint, so that it breaks no transaction around it either.

    No context manager: entering the savepoint may fail as well, where the database is out of reach.
    """

    @wraps(write)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
        def in_savepoint() -> T:
            with savepoint(known.database()):
                return write(*args, **kwargs)

        try:
            return run_again(known.database(), in_savepoint)
        except Exception:  # the database, a router, a user model of another kind
            logger.warning("The session history could not be written.", exc_info=True)
            return None

    return guarded


def _afterwards(write: Callable[[], Any]) -> None:
    """Call `write` once the answer is out, unless the transaction of now is rolled back."""
    after_commit(partial(later.after_answer, later.as_of_now(write)))


# --- logins and logouts --------------------------------------------------------------------------


def note_login(request: HttpRequest, user: Any) -> None:
    """Record a login with a session of this package, and whether its device is a new one.

    A staff member who takes over a user is recorded as that; it is no device of the user's.
    """
    session: Any = request.session
    columns = {
        "sid": session.sid,
        "user_id": user.pk,
        "created_at": to_datetime(session.auth_time),
        "detail": devices.remembered_name(request.COOKIES, user),
        **devices.columns(request.META, get_config()),
    }
    todo = later.current()
    if todo is not None:
        todo.logged_in.add(user.pk)
    _afterwards(partial(_write_login, session, columns, request.META))


def _write_login(session: Any, columns: dict[str, Any], environ: Mapping[str, Any]) -> None:
    actor = takeover.actor_of(session)  # who takes over notes it after the login
    if actor is not None:
        _record(event_model()(kind=EventKind.TAKEOVER, actor_id=actor, **columns))
        return
    log.note(event_model()(kind=EventKind.LOGIN, **columns))
    event = _write_own_login(columns)
    if event is not None:
        log.note(event)
        tell(
            new_device,
            sender=type(session),
            sid=event.sid,
            user_id=event.user_id,
            environ=environ,
            event=event,
        )


@_guarded
def _write_own_login(columns: dict[str, Any]) -> SessionEvent | None:
    """Write the events of a login; return that of a new device, if it is one."""
    login = event_model()(kind=EventKind.LOGIN, **columns)
    _own_up(login)
    if not known.is_new(login):  # as nearly always; a statement without a transaction around it
        login.save(using=known.database(), force_insert=True)
        return None
    login.detail = {**login.detail, "new_device": True}
    event: SessionEvent = event_model()(kind=EventKind.NEW_DEVICE, **columns)
    known.rows().bulk_create([login, event])
    return event


def _own_up(login: SessionEvent) -> None:
    """Say of the failed logins before it, on its device and from its address, whose they were."""
    if login.ip_address:
        _failed_lately(login.user_id).filter(
            ip_address=login.ip_address, user_agent=login.user_agent
        ).update(detail={"known": True})


def note_takeover(
    impersonator: Any, impersonating: Any, request: HttpRequest, **kwargs: Any
) -> None:
    """Record that a staff member works as a user in their own session (django-impersonate)."""
    session = getattr(request, "session", None)
    event = event_model()(
        kind=EventKind.TAKEOVER,
        user_id=impersonating.pk,
        actor_id=impersonator.pk,
        # Not its sid: the session is the staff member's, and not the user's to end.
        detail={"session": getattr(session, "sid", None) or ""},
        **devices.columns(request.META, get_config()),
    )
    _afterwards(partial(_record, event))


def note_logout(request: HttpRequest, user: Any) -> None:
    """Record that a user has ended the session of this request, if they do.

    Django's logout() sends its signal before that; an API that ends a token sends it without.
    """
    session: Any = request.session
    event = event_model()(
        kind=EventKind.LOGOUT,
        sid=getattr(session, "sid", None) or "",
        user_id=user.pk,
        actor_id=takeover.actor_of(session) or user.pk,
        **devices.columns(request.META, get_config()),
    )
    is_early = later.current() is None  # it is written now, and the session ends next
    _afterwards(partial(_record, event) if is_early else partial(_record_end, event, session))


def _record_end(event: SessionEvent, session: Any) -> None:
    who = session.identity
    if who is None or who.sid != event.sid:
        _record(event)


def _record(event: SessionEvent) -> None:
    log.note(event)
    _write(event)


def note_bound(sid: str, user_id: Any, environ: Mapping[str, Any]) -> None:
    """Record that a session has been bound to a key in its device."""
    device = devices.columns(environ, get_config())
    event = event_model()(kind=EventKind.BOUND, sid=sid, user_id=user_id, **device)
    _afterwards(partial(_write, event))


@_guarded
def _write(event: SessionEvent) -> None:
    event.save(using=known.database(), force_insert=True)


# --- changed devices and addresses ---------------------------------------------------------------


def note_change(sid: str, environ: Mapping[str, Any]) -> None:
    """Record, once for each, that a session is used on another device or from another address.

    Arguments: `environ` is the META of the request. Nothing is recorded of a session whose login is
    not in the history (any more): there is nothing to compare with.
    """
    columns = {"created_at": timezone.now(), **devices.columns(environ, get_config())}
    later.after_answer(partial(_write_change, sid, columns))


@_guarded
def _write_change(sid: str, columns: dict[str, Any]) -> None:
    seen = _sightings(sid)
    if not 0 < len(seen) <= _CHANGES_NOTED:
        return
    event = event_model()(kind=EventKind.CHANGED, sid=sid, user_id=seen[0].user_id, **columns)
    if not any(known.is_same(event, one) for one in seen):
        event.save(using=known.database())
        _leave_one(event)
        log.note(event)


def _sightings(sid: str) -> list[SessionEvent]:
    """Return where the history has seen a session, oldest first."""
    kinds = (*event_model().BEGINS, EventKind.CHANGED)
    events = known.rows().filter(sid=sid, kind__in=kinds)
    return list(events.order_by("pk")[: _CHANGES_NOTED + 1])


def _leave_one(event: SessionEvent) -> None:
    """Delete all notes of one change but the first: other processes may have seen it as well.

    Whoever writes last sees all the others, and no matter who was first to look, the same stays.
    """
    same = [one.pk for one in _sightings(event.sid) if known.is_same(event, one)]
    if len(same) > 1:
        rows = known.rows()
        rows.filter(pk__in=same[1:], kind=EventKind.CHANGED).delete()


# --- failed logins -------------------------------------------------------------------------------


def note_failed_login(credentials: Mapping[str, Any], request: HttpRequest | None) -> None:
    """Record a failed login of a known user; what was typed for an unknown one is kept nowhere.

    Nothing is recorded without a request. Whether the user is known is looked up when the answer is
    out, and not recorded if they have logged in with that request after all.
    """
    if request is None:
        return
    typed = names.typed(credentials)
    if typed:
        todo = later.current()
        columns = {"created_at": timezone.now(), **devices.columns(request.META, get_config())}
        logged_in: set[Any] = set() if todo is None else todo.logged_in
        later.after_answer(partial(_write_failed, typed, columns, logged_in))


@_guarded
def _write_failed(typed: list[str], columns: dict[str, Any], logged_in: set[Any]) -> None:
    user = names.user_of(typed)
    if user is not None and user.pk in logged_in:
        return
    event = event_model()(
        kind=EventKind.LOGIN_FAILED, user_id=None if user is None else user.pk, **columns
    )
    log.note(event)  # of nobody's name as well: an address that tries many
    if user is not None:
        _write_failed_of(user, event)


def _write_failed_of(user: Any, event: SessionEvent) -> None:
    lately = list(_failed_lately(user.pk).order_by("-pk")[:_FAILED_LINES])
    same = [one for one in lately if _as_failed(one) == _as_failed(event)]
    if same or len(lately) == _FAILED_LINES:
        (one, *_) = same or lately
        known.rows().filter(pk=one.pk).update(count=F("count") + 1)
        return
    if known.is_known(event):
        event.detail = {"known": True}
    event.save(using=known.database(), force_insert=True)


def _failed_lately(user_id: Any) -> Any:
    return known.rows().filter(
        user_id=user_id, kind=EventKind.LOGIN_FAILED, created_at__gt=timezone.now() - _FAILED_WITHIN
    )


def _as_failed(event: SessionEvent) -> tuple[str | None, str]:
    return event.ip_address, event.user_agent


# --- telling others ------------------------------------------------------------------------------


def tell(signal: Signal, **kwargs: Any) -> None:
    """Send a signal whose receivers can break nothing.

    What they raise is logged by Django; where that has broken the transaction of the request, it
    goes back to where it was before them.
    """
    using = known.database()
    try:
        with transaction.atomic(using=using) if later.in_transaction(using) else nullcontext():
            signal.send_robust(**kwargs)
    except DatabaseError:
        if connections[using].needs_rollback:  # all of it is undone (Galera): its owner must hear
            raise
        logger.warning("What receivers of a signal had written was undone.", exc_info=True)


def after_commit(function: Callable[[], None]) -> None:
    """Call the function now, or once the transaction of the request has been committed."""
    later.after_commit(function, known.database())
