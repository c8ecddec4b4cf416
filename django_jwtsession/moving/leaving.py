"""MIGRATE_TO: a session of ours becomes one of another engine at its browser's next request.

It blocks; the middleware calls it in a thread where a request is async.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
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
from .arriving import has_all, moves_now, names_of_session, note_end, session_of_before
from .engines import Engine, engine_of
from .foreign import KNOWN_AT_KEY
from .notes import MOVED_KEY
from .ours import is_ours
from .waiting import session_that_waits

# A session that another server writes to between the reading and the end is read again.
_TRIES = 5


def session_of(request: HttpRequest, store: type[Any]) -> Any:
    """Return the session of a request: of the engine to which all go, whatever it came with.

    With a share of browsers, the others keep theirs: None where it is the site's engine's as ever.
    """
    engine = engine_of(str(get_config().migrate_to))
    ours = store if issubclass(store, TokenSession) else hybrid.SessionStore
    came = [value for name in names_of_session() if (value := request.COOKIES.get(name))]
    if not any(map(is_ours, came)):
        return _of_note(request, ours, engine, came) or _without_token(request, ours, engine)

    def opened() -> Any:  # with a new object each time: a rollback takes nothing back of it
        session = several(ours, request) or ours(next(filter(is_ours, came)))
        session.cookies = request.COOKIES  # the proof of a device's key is one of them
        return session

    session = opened()
    named = session._named(session._given)
    digest = notes.digest_of_ours(named) if isinstance(named, Claims) else None
    return (
        _led(digest, engine, request)
        or _next(opened, engine, request, None if named is None else named.sid)
        # A parallel request may have moved it just now, between the two questions.
        or _led(digest, engine, request)
        or (engine.open(None, request.META) if has_all() else opened())
    )


def _of_note(request: HttpRequest, ours: type[Any], engine: Engine, came: list[str]) -> Any:
    """Return the session of ours that a cookie of before has become, None for none.

    Its browser has not got the token yet: with that it is handed over.
    """
    if get_config().migrate_from is None:
        return None
    found = (notes.find(notes.digest_of("in", value)) for value in dict.fromkeys(came))
    note = next((each for each in found if each is not None), None)
    return note and session_that_waits(request, notes.lead(ours, note), engine)


def _without_token(request: HttpRequest, ours: type[Any], engine: Engine) -> Any:
    """Return the session of a request with no token of ours.

    While some browsers wait, others may be served by servers that know this package's engine alone:
    who comes for the first time has a session of ours.
    """
    if has_all():
        return engine.open(request.COOKIES.get(options.name), request.META)
    return session_of_before(request, ours, engine)


def _next(opened: Callable[[], Any], engine: Engine, request: HttpRequest, sid: str | None) -> Any:
    """Return the session that follows on one of ours: handed over, or itself for now."""
    new = hand_over(opened, engine, request.META) if moves_now(sid) else None
    return new or session_that_waits(request, opened(), engine)


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


class _Moved(Exception):
    """Another request was faster: it has moved the session, written to it or ended it."""


def hand_over(
    opened: Callable[[], Any],
    engine: Engine,
    environ: Mapping[str, Any],
    ends_in: float | None = None,
) -> Any:
    """Return a session of another engine with what a living one of ours holds, which ends.

    It ends without a word in the history: nobody has ended it. None for a session that does not
    live, is empty, or is written to without end.

    Arguments: `opened` returns the session with what came, not loaded yet; `ends_in` seconds the
    new one ends, as its own engine says by default.
    """
    for _ in range(_TRIES):
        with suppress(_Moved):
            return run_again(
                notes.database(), lambda: _handed_over(opened(), engine, environ, ends_in)
            )
    return None


def _handed_over(
    session: Any, engine: Engine, environ: Mapping[str, Any], ends_in: float | None
) -> Any:
    data = dict(session.items())
    who = session.identity
    if who is None or not data or session.ended is not Ended.NOT:
        return None
    digest = notes.digest_of_ours(who)
    data = _for_others(data, session.logged_in_at, digest)
    try:
        with engine.transaction():
            new = engine.new(data, environ, ends_in)
            end = note_end(session.expires_at or 0.0)
            try:
                notes.write(notes.new_note(digest, new.session_key, end))
            except IntegrityError:
                raise _Moved from None
            if not session.move_out():
                raise _Moved
    except _Moved:
        engine.forget(new.session_key)
        note = notes.find(digest)
        if note is None:
            raise
        return _leading(engine, note, environ)
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
