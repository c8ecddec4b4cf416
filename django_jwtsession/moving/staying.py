"""MIGRATE_SHARE: browsers that are not to move yet, while other servers may move them."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpRequest

from . import notes
from .sources import Source


def session_of_who_stays(
    request: HttpRequest, store: type[Any], source: Source, value: str, digest: str
) -> Any:
    """Return the session of the engine of before; ours, if another server has moved it just now.

    It is read here: later it could be gone, and its engine would say that the visitor is nobody.
    """
    session = source.open(value, request.META)
    if session is None or source.is_stateless:
        return session
    session._get_session()
    session.accessed = False
    if session.session_key == value:
        _save_unless_moved(session, digest)
        return session
    note = notes.find(digest)
    if note is None:
        return session
    session.delete()  # some engines make one of each key that they do not know
    return notes.lead(store, note)


def _save_unless_moved(session: Any, digest: str) -> None:
    """Let save() raise UpdateError if another server has moved the session, as most engines do."""
    key, save = session.session_key, session.save

    def save_unless_moved(must_create: bool = False) -> None:
        if session.session_key == key and notes.find(digest) is not None:
            raise UpdateError
        save(must_create)

    session.save = save_unless_moved
