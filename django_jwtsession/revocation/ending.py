"""Ending sessions, for everyone who holds their cookies and on every process.

Rows are deleted, the feed is told, the history written, `session_revoked` sent: the same for all
engines. What a process knows of ended sessions is in feed.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import router

from ..conf import Config, get_config
from ..devices.clients import columns
from ..history import log, takeover
from ..history.events import after_commit, tell
from ..models.registry import event_model, session_model
from ..models.retry import run_again
from ..models.times import to_datetime
from ..signals import session_revoked, token_reused
from ..tokens.sid import sid_from_uuid, uuid_from_sid
from .entries import AGE, Entry
from .feed import STEP, NewEpoch, get_feed
from .publishing import publish
from .reasons import EndReason

__all__ = [
    "Entry",
    "arevoke_all_sessions",
    "arevoke_session",
    "arevoke_user_sessions",
    "begin_epoch",
    "enforce_limit",
    "is_full",
    "publish",
    "report_reuse",
    "revoke_all_sessions",
    "revoke_rows",
    "revoke_session",
    "revoke_user_sessions",
    "tell_of_age",
]

security_logger = logging.getLogger("django.security.jwtsession")

_BATCH = 1000
_COPIED = {
    "token_reuse": "An old copy of a session cookie was used; the session has been ended.",
    "binding_failed": "A session cookie came without its device's key; the session has been ended.",
}


def revoke_session(sid: str, by: Any = None, reason: str = EndReason.REVOKED) -> bool:
    """End one session.

    Arguments: `sid` is `session.sid`; `by` is the user who ends it, for the history; `reason` a
    word of up to 32 characters.

    Returns whether there was a row; sessions of the cookie engine have none, and end all the same.
    Raises BadToken (malformed) for what is no sid.
    """
    rows = session_model().objects.filter(pk=uuid_from_sid(sid))
    if revoke_rows(rows, by=by, reason=reason):
        return True
    publish([Entry("s", sid, longest_end(get_config()), reason)])
    _note([_from_history(sid)], by, reason)
    return False


def revoke_user_sessions(
    user: Any, keep: Any = None, by: Any = None, reason: str = EndReason.REVOKED
) -> int:
    """End all sessions of a user, also those that only exist as cookies.

    Arguments: `user` is a user or its pk; `keep` is a session or a sid that goes on; of the session
    of a request a new epoch begins, so that copies of its cookie end as well; `by` and `reason` as
    in revoke_session().

    Returns the number of rows that were ended: 0 for an anonymous or unsaved user, whose sessions
    would be all visitors'. Sessions that begin after the call are not touched.
    """
    pk = getattr(user, "pk", user)
    if pk is None:
        return 0
    name = user._meta.pk.value_to_string(user) if hasattr(user, "_meta") else str(pk)
    keep_sid = getattr(keep, "sid", keep) or ""
    rows = session_model().objects.filter(user_id=pk)
    if keep_sid:
        rows = rows.exclude(pk=uuid_from_sid(keep_sid))
    end, before = longest_end(get_config()), _before(name)
    publish([Entry("u", name, end, reason, before=before, keep_sid=keep_sid)])
    count = revoke_rows(rows, by=by, reason=reason)
    if not count:
        _note([_Ended("", pk)], by, reason)
    if getattr(keep, "environ", None) is not None and hasattr(keep, "renew"):
        keep.renew()  # a copy of its cookie is one of the sessions to end
    return count


def revoke_all_sessions(by: Any = None, reason: str = EndReason.REVOKED) -> int:
    """End the sessions of all users, and all rows; return how many rows there were.

    Anonymous sessions of the cookie engine go on: nothing names them.
    """
    publish([Entry("e", "", longest_end(get_config()), reason, before=_before())])
    return revoke_rows(session_model().objects.all(), by=by, reason=reason)


def _before(name: str | None = None) -> float:
    """Return from before which moment the logins of a user, or of everyone, are to end now.

    After all that began so far, whatever the clock of the server where: a session that another
    server has just begun may have a time ahead of this clock, by LEEWAY; and a login that followed
    an end has that end's moment at least (see Feed.ended_before()), to which this one is later.
    """
    feed = get_feed()
    feed.refresh(0.0)
    last = feed.latest_end() if name is None else feed.ended_before(name)
    return round(max(time.time() + get_config().leeway, last + STEP), 3)


arevoke_session = sync_to_async(revoke_session)
arevoke_user_sessions = sync_to_async(revoke_user_sessions)
arevoke_all_sessions = sync_to_async(revoke_all_sessions)


class _Ended(NamedTuple):
    sid: str
    user_id: Any
    device: tuple[Any, ...] = ()


_DEVICE = ("ip_address", "user_agent", "browser", "os", "device")


def _from_history(sid: str) -> _Ended:
    """Return whose session without a row it is, and its device, as its login was recorded."""
    history = event_model()
    logins = history.objects.filter(sid=sid, kind__in=history.BEGINS)
    login = logins.order_by("-created_at").values_list("user_id", *_DEVICE).first()
    return _Ended(sid, None) if login is None else _Ended(sid, login[0], login[1:])


def revoke_rows(queryset: Any, by: Any = None, reason: str = EndReason.REVOKED) -> int:
    """End the sessions of a queryset, in batches; return how many there were."""
    config, count = get_config(), 0
    # Not in an admin page's order. Each batch begins where the last one ended: what was deleted
    # before it would be read over again, until the database tidies up.
    rest = queryset.order_by("pk")
    while True:
        batch = list(rest.values_list("pk", "user_id", "cookie_until", *_DEVICE)[:_BATCH])
        pks = [row[0] for row in batch]
        rows = queryset.model._base_manager.using(queryset.db).filter(pk__in=pks)
        run_again(queryset.db, rows.delete)
        ends = [row_end(config, _unix(row[2])) for row in batch]
        ended = [_Ended(sid_from_uuid(row[0]), row[1], row[3:]) for row in batch]
        publish([Entry("s", one.sid, end, reason) for one, end in zip(ended, ends, strict=True)])
        _note(ended, by, reason)
        count += len(batch)
        if len(batch) < _BATCH:
            return count
        rest = queryset.order_by("pk").filter(pk__gt=pks[-1])


def begin_epoch(sid: str, epoch: int, expires_at: float, is_soft: bool = False) -> None:
    """Tell all processes that a session's tokens of before an epoch open nothing any more.

    Arguments: `epoch` is the new one (milliseconds since 1970); `expires_at` (Unix time) is when
    the last token of an earlier one has expired; `is_soft` tells that the epoch follows a proof of
    identity, under whose eyes a request may still read for a moment.
    """
    reason = NewEpoch.PROOF if is_soft else NewEpoch.LOGIN
    publish([Entry("s", sid, expires_at, reason, epoch=epoch - 1)])


def tell_of_age(sid: str, until: float) -> None:
    """Tell all processes until when (Unix time) tokens of a session can live; it goes on."""
    publish([Entry("s", sid, until, AGE, epoch=0)])


def longest_end(config: Config) -> float:
    """Return until when any token that exists now can be valid."""
    return time.time() + max(config.absolute_age, settings.SESSION_COOKIE_AGE)


def row_end(config: Config, cookie_until: float | None) -> float:
    """Return until when a token of a session with a row can be used once the row is gone.

    Such a token is only trusted while its copy of the row is. Of a session that the engine `cookie`
    has had (`cookie_until`), tokens that hold everything may be out there, from which a row would
    be made again.
    """
    end = time.time() + config.revalidate_after + config.stale_if_error + 60
    return end if cookie_until is None else max(end, cookie_until)


def report_reuse(
    sender: Any, model: Any, pk: Any, environ: Mapping[str, Any], kind: str = "token_reuse"
) -> None:
    """End a session of whose cookie somebody holds a copy; record both sides, tell projects.

    Arguments: `sender` is the engine, `environ` the META of the request that brought the copy;
    `kind` is that of the event, one of SessionEvent.COPIED.
    """
    rows = model._base_manager.using(router.db_for_write(model)).filter(pk=pk)
    session = rows.first()
    if session is None or not run_again(rows.db, rows.delete)[0]:
        return  # a parallel request has done it
    config, user_id, history = get_config(), session.user_id, event_model()
    end = row_end(config, _unix(session.cookie_until))
    publish([Entry("s", session.sid, end, kind)])
    event = history(
        kind=kind,
        sid=session.sid,
        user_id=user_id,
        detail={"ip_address": session.ip_address, "user_agent": session.user_agent},
        **columns(environ, config),
    )
    using = router.db_for_write(history)
    run_again(using, partial(event.save, using=using, force_insert=True))
    after_commit(partial(log.note, event))
    security_logger.warning(
        _COPIED[kind],
        extra={"reason": kind, "sid": session.sid},
    )
    common = {"sender": sender, "sid": session.sid, "user_id": user_id}
    tell(token_reused, **common, environ=environ, event=event)
    tell(session_revoked, **common, by=None, reason=event.kind)


def is_full(model: Any, user_id: Any, limit: int | None, own: Collection[str]) -> bool:
    """Tell whether a user has as many living sessions as are allowed.

    Those in which staff have taken the user over do not count.

    Arguments: `limit` goes before MAX_SESSIONS_PER_USER; `own` are sids that do not count.
    """
    limit = limit or get_config().max_sessions_per_user
    if limit is None or user_id is None:
        return False
    living = model.objects.filter(user_id=user_id, expires_at__gt=to_datetime(time.time()))
    others = living.exclude(pk__in=[uuid_from_sid(sid) for sid in own])
    found = list(others.values_list("pk", flat=True))
    return len(found) >= limit and len(found) - len(_taken_over(user_id, found)) >= limit


def enforce_limit(
    model: Any,
    user_id: Any,
    data: Mapping[str, Any],
    limit: int | None = None,
    ends_newest: bool = False,
) -> None:
    """End the sessions of a user beyond the limit: the oldest, or the newest.

    Those in which staff have taken the user over do not count, and are not ended.

    Arguments: `data` is what the session holds that has begun; staff note there who they are.
    `limit` goes before MAX_SESSIONS_PER_USER.
    """
    limit = limit or get_config().max_sessions_per_user
    if limit is None or user_id is None or takeover.actor_of(data) is not None:
        return
    rows = model.objects.filter(user_id=user_id)
    if ends_newest:  # those that have expired are in nobody's way
        rows = rows.filter(expires_at__gt=to_datetime(time.time()))
    order = ("authenticated_at", "pk") if ends_newest else ("-authenticated_at", "-pk")
    found = list(rows.order_by(*order).values_list("pk", flat=True))
    if len(found) <= limit:
        return
    staff = _taken_over(user_id, found)
    beyond = [pk for pk in found if pk not in staff][limit:]
    if beyond:
        revoke_rows(model.objects.filter(pk__in=beyond), reason=EndReason.TOO_MANY)


def _taken_over(user_id: Any, pks: list[Any]) -> set[Any]:
    """Return those of a user's sessions in which staff work."""
    history = event_model()
    events = history.objects.filter(
        user_id=user_id,
        kind=history.Kind.TAKEOVER,
        sid__in=[sid_from_uuid(pk) for pk in pks[:_BATCH]],
    )
    return {uuid_from_sid(sid) for sid in events.values_list("sid", flat=True)}


def _unix(at: Any) -> float | None:
    return None if at is None else float(at.timestamp())


def _note(ended: list[_Ended], by: Any, reason: str) -> None:
    """Write the history and send the signal."""
    history = event_model()
    events = [
        history(
            kind=history.Kind.REVOKED,
            sid=one.sid,
            user_id=one.user_id,
            actor_id=getattr(by, "pk", by),
            detail={"reason": reason},
            **dict(zip(_DEVICE, one.device, strict=False)),
        )
        for one in ended
    ]
    run_again(router.db_for_write(history), partial(history.objects.bulk_create, events))
    after_commit(partial(log.note_all, events))
    for one in ended:
        session_revoked.send(
            sender=session_model(), sid=one.sid, user_id=one.user_id, by=by, reason=reason
        )
