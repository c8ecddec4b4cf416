"""MIGRATE_SHARE with MIGRATE_TO: sessions of ours that wait; other servers hand over."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.db import IntegrityError
from django.http import HttpRequest

from ..backends import data as session_data
from ..backends.data import AUTH_KEYS
from ..backends.flows import Flow, run
from ..backends.knowledge import Data
from . import notes
from .engines import Engine


def session_that_waits(request: HttpRequest, session: Any, engine: Engine) -> Any:
    """Return a session of ours that goes on for now; None for one that does not live.

    It is read here: later it could be gone, and the visitor would be nobody.

    Arguments: `session` has what came.
    """
    session.environ = request.META
    accessed = session.accessed
    session._get_session()
    if session.identity is None:
        return None
    session.accessed = accessed
    session.__class__ = _waiting(session.__class__)
    session.goes_to = engine
    session._note_data_that_came()
    return session


class _Waiting:
    """A session of ours that another server may hand over while a request has it.

    What the request writes then goes to where it has gone, and its end ends that as well.
    """

    goes_to: Engine
    # None where the row that was read says it.
    data_that_came: Data | None = None
    # The session of the other engine into which something was saved: its cookie goes out.
    goes_on_as: Any = None

    def _saving(self: Any, must_create: bool) -> Flow[None]:
        yield
        if must_create or not self._saves_where_it_is():
            try:
                run(super()._saving(must_create))  # type: ignore[misc]
            except UpdateError:
                if must_create or not self._saves_where_it_is():
                    raise
        self._note_data_that_came()

    def _freshening(self: Any, now: float) -> Flow[bool]:
        yield
        if self._note_of_move() is not None:  # the browser has another cookie, or gets one
            return False
        return bool(run(super()._freshening(now)))  # type: ignore[misc]

    def _ends_own(self: Any) -> bool:
        who = self.identity
        if who is None:
            return bool(super()._ends_own())  # type: ignore[misc]
        digest = notes.digest_of_ours(who)
        has_gone = False
        try:  # before the row, as a hand-over does: of two at once, one waits for the other
            notes.write(notes.new_end(digest))
        except IntegrityError:
            note = notes.find(digest)
            has_gone = note is not None and note.credential is not None
            if note is not None and note.credential is not None:
                self.goes_to.open(note.credential, {}).delete(note.credential)
            notes.void(digest)
        return bool(super()._ends_own()) or has_gone  # type: ignore[misc]

    def _note_data_that_came(self: Any) -> None:
        """Keep the data as it is: what is saved is no change any more."""
        if self.known is None or self.goes_on_as is not None:
            self.data_that_came = deepcopy(self._session_cache)

    def _note_of_move(self: Any) -> notes.Note | None:
        return None if self.identity is None else notes.find(notes.digest_of_ours(self.identity))

    def _saves_where_it_is(self: Any) -> bool:
        """Write what this request has changed into the session that has taken this one's place.

        Returns False for one that waits still. Raises UpdateError for one that has ended since.
        """
        theirs = self.goes_on_as
        if theirs is None or not self.goes_to.is_stateless:
            note = self._note_of_move()
            if note is None:
                return False
            theirs = self._living(note)
        came = self._data_before() if self.data_that_came is None else self.data_that_came
        found = session_data.changes(came, self._session_cache, self.config)
        if found.keys & AUTH_KEYS:
            raise UpdateError
        theirs._session_cache = dict(found.applied(theirs._get_session()))
        theirs.save()
        self.goes_on_as = theirs
        return True

    def _living(self: Any, note: notes.Note) -> Any:
        """Return the session to which a note leads. Raises UpdateError if it has ended."""
        if note.credential is None:
            raise UpdateError
        theirs = self.goes_to.open(note.credential, self.environ or {})
        if not theirs._get_session():
            raise UpdateError
        return theirs


@lru_cache(16)
def _waiting(store: type[Any]) -> type[Any]:
    return type(store.__name__, (_Waiting, store), {"__module__": store.__module__})
