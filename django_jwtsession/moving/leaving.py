"""MIGRATE_TO: a session of ours becomes one of another engine at its browser's next request.

It blocks; the middleware calls it in a thread where a request is async.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError
from django.http import HttpRequest

from ..backends import hybrid
from ..backends.arrival import session_of as several
from ..backends.base import TokenSession
from ..backends.data import POLICY_KEY
from ..backends.knowledge import Ended
from ..backends.options import options
from ..conf import get_config
from ..models.retry import run_again
from ..tokens.claims import Claims
from . import notes
from .arriving import names_of_session, note_end
from .engines import Engine, engine_of
from .foreign import KNOWN_AT_KEY
from .notes import MOVED_KEY
from .ours import is_ours


def session_of(request: HttpRequest, store: type[Any]) -> Any:
    """Return the session of a request: of the engine to which all go, whatever it came with."""
    engine = engine_of(str(get_config().migrate_to))
    came = [request.COOKIES.get(name, "") for name in names_of_session()]
    if not any(map(is_ours, came)):
        return engine.open(request.COOKIES.get(options.name), request.META)
    ours = store if issubclass(store, TokenSession) else hybrid.SessionStore

    def opened() -> Any:
        session = several(ours, request)
        return session or ours(next(value for value in came if is_ours(value)))

    session = opened()
    named = session._named(session._given)
    digest = _digest(named.sid, named.ep) if isinstance(named, Claims) else None
    return (
        _led(digest, engine, request)
        # With a new object each time: a rollback takes nothing back of what one has come to know.
        or run_again(notes.database(), lambda: hand_over(opened(), engine, request.META))
        # A parallel request may have moved it just now, between the two questions.
        or _led(digest, engine, request)
        or engine.open(None, request.META)
    )


def _led(digest: str | None, engine: Engine, request: HttpRequest) -> Any:
    """Return the session that has taken the place of a token's, None if none has."""
    note = None if digest is None else notes.find(digest)
    if note is None or note.credential is None:
        return None
    return _leading(engine, note, request.META)


def _leading(engine: Engine, note: notes.Note, environ: Mapping[str, Any]) -> Any:
    """Return the session that took a token's place, whose cookie the browser may not have yet."""
    session = engine.open(note.credential, environ)
    session.leads_from = note.digest
    # Whatever the view does; but of one that has ended, or is known to be there, no cookie goes.
    session.modified = not note.is_confirmed and session.get(MOVED_KEY) is not None
    return session


def _digest(sid: str, epoch: int) -> str:
    return notes.digest_of("out", f"{sid}.{epoch}")


class _Moved(Exception):
    """Another request was faster, or the session has ended."""


def hand_over(
    session: Any, engine: Engine, environ: Mapping[str, Any], ends_in: float | None = None
) -> Any:
    """Return a session of another engine with what a living one of ours holds, which ends.

    It ends without a word in the history: nobody has ended it. None for a session that does not
    live.

    Arguments: `session` has what came, and is not loaded yet; `ends_in` seconds the new one ends,
    as its own engine says by default.
    """
    data = dict(session.items())
    who = session.identity
    if who is None or not data or session.ended is not Ended.NOT:
        return None
    digest = _digest(who.sid, who.epoch)
    data = _for_others(data, session.logged_in_at, digest)
    try:
        with engine.transaction():
            new = engine.new(data, environ, ends_in)
            end = note_end(session.expires_at or 0.0)
            try:
                notes.write(notes.new_note(digest, new.session_key, end))
            except IntegrityError:
                raise _Moved from None
            session.mark_logout()
            if not session._ends_own():
                raise _Moved
    except _Moved:
        engine.forget(new.session_key)
        return _leading(engine, notes.find(digest) or notes.Note(digest, None), environ)
    new.leads_from = digest
    return new


def _for_others(data: dict[str, Any], logged_in_at: float | None, digest: str) -> dict[str, Any]:
    """Return data of ours as another engine is to have it."""
    data = data | {MOVED_KEY: digest}
    if logged_in_at is not None:
        data[KNOWN_AT_KEY] = logged_in_at
    idle = data.get(POLICY_KEY, {}).get("idle")
    if idle is not None and "_session_expiry" not in data:
        data["_session_expiry"] = int(idle)
    return data
