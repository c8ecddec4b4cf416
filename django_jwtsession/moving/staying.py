"""MIGRATE_SHARE: browsers that are not to move yet, while other servers may move them."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import UpdateError
from django.db import IntegrityError
from django.http import HttpRequest

from ..backends import data as session_data
from ..backends.data import AUTH_KEYS
from . import notes
from .sources import Source


def session_of_who_stays(
    request: HttpRequest, store: type[Any], source: Source, value: str, digest: str
) -> Any:
    """Return the session of the engine of before; ours, if another server has moved it just now.

    It is read here: later it could be gone, and its engine would say that the visitor is nobody.
    """
    session = source.open(value, request.META)
    if session is None:
        return None
    if source.is_stateless:
        if source.owner(value) is None:  # forged, or a visitor's, who cannot log out
            return session
        return _followed(session, store, source, value, digest)
    session._get_session()
    session.accessed = False
    if session.session_key == value:
        return _followed(session, store, source, value, digest)
    note = notes.find(digest)
    if note is None:
        return session
    session.delete()  # some engines make one of each key that they do not know
    return notes.lead(store, note)


def _followed(session: Any, store: type[Any], source: Source, value: str, digest: str) -> Any:
    session.__class__ = _staying(session.__class__)
    session.stays_as, session.moves_to, session.digest = value, store, digest
    session.is_all_in_cookie = source.is_stateless
    if not source.is_stateless:
        session.data_that_came = deepcopy(session._session_cache)
    return session


class _Staying:
    """A session of the engine of before that another server may move while a request has it.

    What the request writes then goes to where it has moved, and its end ends that as well.
    """

    stays_as: str
    moves_to: type[Any]
    digest: str
    is_all_in_cookie: bool
    data_that_came: dict[str, Any]
    # The session into which something was saved that is all in its cookie: that goes out.
    goes_on_as: Any = None

    def save(self: Any, must_create: bool = False) -> None:
        if must_create or self.session_key != self.stays_as or self.is_all_in_cookie:
            super().save(must_create)  # type: ignore[misc]
            return
        if not self._saves_where_it_is():
            try:
                super().save()  # type: ignore[misc]
            except UpdateError:
                if not self._saves_where_it_is():
                    raise
            else:
                # Some engines store a row anew that a move has deleted since the first question.
                if notes.find(self.digest) is not None:
                    super().delete(self.stays_as)  # type: ignore[misc]
                    self._saves_where_it_is()
        self.data_that_came = deepcopy(self._session_cache)  # what is saved is no change any more

    async def asave(self: Any, must_create: bool = False) -> None:
        await sync_to_async(self.save)(must_create)

    def delete(self: Any, session_key: str | None = None) -> None:
        """Delete it; and note that nobody moves it, or end what it has become."""
        ends = (session_key or self.session_key) == self.stays_as
        super().delete(session_key)  # type: ignore[misc]
        if not ends:
            return
        # After the row, as a move does: of two at once, one waits for the other.
        try:
            notes.write(notes.new_end(self.digest))
        except IntegrityError:
            moved = notes.lead(self.moves_to, notes.find(self.digest))
            if moved.identity is not None:
                moved.flush()
            notes.void(self.digest)

    async def adelete(self: Any, session_key: str | None = None) -> None:
        await sync_to_async(self.delete)(session_key)

    def _saves_where_it_is(self: Any) -> bool:
        """Write what this request has changed into the session that another server has moved.

        Returns False for one that has not moved. Raises UpdateError for one that has ended since.
        """
        moved = self.goes_on_as
        if moved is None:
            note = notes.find(self.digest)
            if note is None:
                return False
            moved = notes.lead(self.moves_to, note)
        found = session_data.changes(self.data_that_came, self._session_cache, self)
        if moved.identity is None or found.keys & AUTH_KEYS:
            raise UpdateError
        moved.update(found.written)
        for key in found.deleted:
            moved.pop(key, None)
        moved.save()
        if moved.has_rows:
            self.sets_no_cookie = True  # the browser has the new one, or the old one leads there
        else:
            self.goes_on_as = moved
        return True


@lru_cache(16)
def _staying(store: type[Any]) -> type[Any]:
    return type(store.__name__, (_Staying, store), {"__module__": store.__module__})
