"""What has moved, by the digest of its cookie, and where the cookie leads. Times are Unix times.

Whose cookie it was, or what it held, is not in the table.
"""

from __future__ import annotations

import time
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from django.conf import settings
from django.db import router

from ..backends.knowledge import Ended
from ..conf import get_config
from ..exceptions import BadToken
from ..models.place import current_place
from ..models.registry import moved_model
from ..models.retry import run_again
from ..models.savepoints import savepoint
from ..tokens import base64url
from ..tokens.claims import Claims

# The key in the data of a session that has moved until its browser has shown the new cookie: the
# digest of the note.
MOVED_KEY = "_session_moved"


class Note(NamedTuple):
    """Where a cookie that has moved leads: `credential` is None if that is over."""

    digest: str
    credential: str | None
    is_confirmed: bool = False

    def __repr__(self) -> str:
        return f"<Note {self.digest}>"


def digest_of(kind: str, cookie: str) -> str:
    """Return the digest of what has moved; `kind` is "in" or "out"."""
    hashed = sha256(f"{kind}:{cookie}".encode("utf-8", "surrogatepass")).digest()
    return base64url.encode(hashed).decode("ascii")


def digest_of_ours(who: Any) -> str:
    """Return the digest of a session of ours that may move out; `who` is an Identity, or Claims."""
    epoch = who.ep if isinstance(who, Claims) else who.epoch
    return digest_of("out", f"{who.sid}.{epoch}")


def find(digest: str) -> Note | None:
    """Return the note of what has moved, None if it has not."""
    row = moved_model().objects.filter(pk=digest).values_list("sealed", "confirmed_at").first()
    if row is None:
        return None
    return Note(digest, _credential(digest, *row), row[1] is not None)


def _credential(digest: str, sealed: bytes, confirmed_at: float | None) -> str | None:
    config = get_config()
    if confirmed_at is not None and time.time() - confirmed_at > config.rotate_grace:
        return None
    try:
        opened, _ = config.seal_in(current_place()).open(bytes(sealed), digest.encode())
    except BadToken:
        return None
    return opened.decode() or None


def lead(store: type[Any], note: Note | None) -> Any:
    """Return the session that took the place of another, where its cookie still leads there."""
    if note is None or note.credential is None:
        return refused(store)
    session = store(note.credential)
    session.accessed = True
    session.leads_from = note.digest
    session._get_session()
    # The browser has not shown the new cookie yet: whatever the view does, and however late.
    session.cookie_due = session.identity is not None and not note.is_confirmed
    session.modified = session.cookie_due and not hasattr(store, "get_model_class")
    return session


def refused(store: type[Any]) -> Any:
    """Return a session of nobody whose cookie stays: the browser may have a newer one."""
    session = store()
    session.ended = Ended.REFUSED
    return session


def new_note(digest: str, credential: str, expires_at: float) -> Any:
    """Return a note, unsaved."""
    seal = get_config().seal_in(current_place()).seal
    sealed = seal(credential.encode(), digest.encode())
    return moved_model()(digest=digest, sealed=sealed, expires_at=expires_at)


def new_end(digest: str) -> Any:
    """Return a note, unsaved, that leads nowhere: of a session that ended before it moved."""
    end = time.time() + settings.SESSION_COOKIE_AGE
    return moved_model()(digest=digest, sealed=b"", expires_at=end)


def write(note: Any) -> None:
    """Insert a note. Raises IntegrityError if the same has moved already."""
    using = database()
    with savepoint(using):
        note.save(force_insert=True, using=using)


def confirm(digest: Any) -> None:
    """Note that the browser has the new cookie: soon the old one leads nowhere."""
    rows = moved_model().objects.filter(pk=str(digest), confirmed_at=None)
    run_again(database(), partial(rows.update, confirmed_at=time.time()))


def void(digest: Any) -> None:
    """Let what has moved lead nowhere: its session was ended, and its engine cannot tell."""
    rows = moved_model().objects.filter(pk=str(digest))
    run_again(database(), partial(rows.update, sealed=b""))


def database() -> str:
    """Return the alias of the database in which the notes are."""
    return router.db_for_write(moved_model())
