"""All at once, beside the browsers: rows of others that move in, and ours that move out.

May be stopped at any point: what has moved is gone from where it was, and the next run goes on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import F
from django.utils import timezone

from ..backends import hybrid
from ..backends.base import TokenSession
from ..backends.data import user_of
from ..backends.knowledge import Incoming
from ..exceptions import SessionTooLarge
from ..models.registry import moved_model
from ..models.retry import run_again
from . import notes
from .arriving import anonymous, has_ended, note_end
from .engines import Engine, Rows, engine_of
from .foreign import Cannot
from .leaving import hand_over
from .notes import MOVED_KEY
from .sources import sources

BATCH = 500
Say = Callable[[str], None]


@dataclass
class Tally:
    """How many sessions there are, how many can move, and why others cannot."""

    total: int = 0
    moved: int = 0
    stay: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        self.total += other.total
        self.moved += other.moved
        self.stay += other.stay


def our_store() -> Any:
    """Return the SessionStore of the site's engine, where it is one of ours; else hybrid's."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return store if issubclass(store, TokenSession) else hybrid.SessionStore


# --- in -------------------------------------------------------------------------------------------


def migrate(say: Say, dry_run: bool = False) -> Tally:
    """Move the rows of the engines that MIGRATE_FROM names, or count what would move."""
    tally = Tally()
    for source in sources():
        if not isinstance(source, Rows):
            say(f"{_name(source)}: no rows; each session moves with its browser's next request.")
            continue
        tally.add(_migrate_rows(source, say, dry_run))
    return tally


def _name(source: Any) -> str:
    store = getattr(source, "store", None)
    return getattr(store, "__module__", None) or "A reader of cookies"


def _migrate_rows(source: Rows, say: Say, dry_run: bool) -> Tally:
    tally, last, store = Tally(), "", our_store()
    living = source.rows().filter(expire_date__gt=timezone.now()).order_by("session_key")
    count = living.count()
    has_rows = hasattr(store, "get_model_class")
    if not has_rows and not dry_run:
        say(
            f"{_name(source)}: {count} sessions; the engine `cookie` has no rows, each moves with"
            " its browser's next request."
        )
    while batch := list(living.filter(session_key__gt=last)[:BATCH]):
        last = batch[-1].session_key
        if dry_run or not has_rows:
            tally.add(_count(source, batch, store))
        else:
            keys = [row.session_key for row in batch]
            tally.add(run_again(source.database, partial(_move, source, keys, store)))
        if len(batch) == BATCH:
            say(f"{_name(source)}: {tally.total} of {count} sessions looked at")
    return tally


def _move(source: Rows, keys: list[str], store: Any) -> Tally:
    """Move the rows of these keys, in one transaction."""
    tally, made, noted = Tally(), [], []
    with source.transaction():
        batch = _locked(source, keys)
        gone, rest = _parted(batch, tally)
        for row, old in _readable(source, rest, tally):
            session = store()
            digest = notes.digest_of("in", row.session_key)
            try:
                marked = replace(old, data={**old.data, MOVED_KEY: digest})
                made.append(session.row_of_old(marked))
            except Exception as error:  # a serializer may raise anything
                tally.stay[f"cannot be written: {type(error).__name__}"] += 1
                continue
            noted.append(notes.new_note(digest, session.session_key, note_end(old.expires_at)))
            gone.append(row.session_key)
        source.rows().filter(session_key__in=gone).delete()
        moved_model().objects.bulk_create(noted)
        if made:
            type(made[0]).objects.bulk_create(made)
    for key in gone:
        source.forget(key)
    tally.total, tally.moved = len(batch), len(made)
    return tally


def _locked(source: Rows, keys: list[str]) -> list[Any]:
    """Return the rows that are still there, and hold them until the transaction ends."""
    rows = source.rows().filter(session_key__in=keys)
    if connections[source.database].features.has_select_for_update:
        return list(rows.select_for_update())
    rows.update(expire_date=F("expire_date"))  # SQLite: a write takes the lock on the database
    return list(rows)


def _parted(batch: list[Any], tally: Tally) -> tuple[list[str], list[Any]]:
    """Return the keys of rows whose session has moved before, which are counted, and the others.

    Some engines store a row anew that was deleted while a slow request had its session.
    """
    keys, rows = [], {notes.digest_of("in", row.session_key): row for row in batch}
    for digest in moved_model().objects.filter(pk__in=rows).values_list("pk", flat=True):
        keys.append(rows.pop(digest).session_key)
        tally.stay["has moved before"] += 1
    return keys, list(rows.values())


def _readable(source: Rows, batch: list[Any], tally: Tally) -> Iterator[tuple[Any, Incoming]]:
    """Yield the rows that can be read, without the users who are gone; count the others."""
    found: list[tuple[Any, Incoming]] = []
    for row in batch:
        try:
            found.append((row, _seen(source.read(row), row)))
        except Cannot as error:
            tally.stay[str(error)] += 1
    users = _known_users({user_of(old.data) for _, old in found})
    for row, old in found:
        user = user_of(old.data)
        kept = old if user is None or user in users else anonymous(old)
        if kept is None:
            tally.stay["is of a user who is gone"] += 1
        elif user is not None and kept is old and has_ended(old):
            tally.stay["has ended: all of its user's have"] += 1
        else:
            yield row, kept


def _seen(old: Incoming, row: Any) -> Incoming:
    """Return a session with the time when it was used last; the row's end tells it, if nothing."""
    if old.seen_at is not None:
        return old
    expiry = old.data.get("_session_expiry")
    age = expiry if type(expiry) is int and expiry else settings.SESSION_COOKIE_AGE
    return replace(old, seen_at=min(time.time(), old.expires_at - age))


def _known_users(names: set[str | None]) -> set[str]:
    """Return which of these users there are, as sessions name them."""
    model = get_user_model()
    pks = []
    for name in names - {None}:
        try:
            pks.append(model._meta.pk.to_python(name))
        except (ValidationError, ValueError, TypeError):
            continue
    users = model._default_manager.filter(pk__in=pks).only("pk")
    return {user._meta.pk.value_to_string(user) for user in users}


def _count(source: Rows, batch: list[Any], store: Any) -> Tally:
    """Count what of a batch can move; nothing is written."""
    tally = Tally(total=len(batch))
    for _, old in _readable(source, _parted(batch, tally)[1], tally):
        session = store()
        try:
            if hasattr(session, "row_of_old"):
                session.row_of_old(old)
            else:
                session.move_in(old)
        except SessionTooLarge:
            tally.stay["is too large for a cookie"] += 1
        except Exception as error:  # a serializer may raise anything
            tally.stay[f"cannot be written: {type(error).__name__}"] += 1
        else:
            tally.moved += 1
    return tally


# --- and out --------------------------------------------------------------------------------------


def export(path: str, say: Say) -> Tally:
    """Move the rows of ours into the engine with that path; their tokens lead there."""
    engine, store, tally, last = engine_of(path), our_store(), Tally(), None
    if not hasattr(store, "get_model_class"):
        say("The engine `cookie` has no rows; each session moves with its browser's next request.")
        return tally
    model = store.get_model_class()
    living = model.objects.filter(expires_at__gt=timezone.now()).order_by("pk")
    count = living.count()
    while batch := list((living if last is None else living.filter(pk__gt=last))[:BATCH]):
        last = batch[-1].pk
        for row in batch:
            tally.total += 1
            tally.moved += run_again(notes.database(), partial(_export, engine, store, row))
        if len(batch) == BATCH:
            say(f"{path}: {tally.total} of {count} sessions looked at")
    if tally.total > tally.moved:
        tally.stay["cannot be read, is empty, or has ended meanwhile"] = tally.total - tally.moved
    return tally


def _export(engine: Engine, store: Any, row: Any) -> bool:
    """Move one row; False if there is nothing in it to move."""
    ends_in = row.expires_at.timestamp() - time.time()
    session = hand_over(partial(store.of, row.sid), engine, _device(row), ends_in)
    return session is not None and session.session_key is not None


def _device(row: Any) -> Mapping[str, Any]:
    return {"REMOTE_ADDR": row.ip_address or "", "HTTP_USER_AGENT": row.user_agent}
