"""The two spellings of a session id: 22 characters of base64url in tokens, a UUID in tables."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID, uuid4

from ..exceptions import BadToken, Reason
from . import base64url


def new_sid() -> str:
    """Return a random session id: 122 bits from the operating system.

    The other six are those of RFC 9562 5.4: MariaDB's uuid column refuses a quarter of all 128-bit
    numbers, those with the mark of another layout. One that begins with a hyphen is drawn again:
    command lines would take it, or the key that begins with it, for an option.
    """
    while (sid := base64url.encode(uuid4().bytes).decode("ascii")).startswith("-"):
        pass
    return sid


@lru_cache(1024)  # a request needs it for each of its statements
def uuid_from_sid(sid: str) -> UUID:
    """Return `sid` as tables hold it. Raises BadToken for what is no sid."""
    try:
        return UUID(bytes=base64url.decode(sid.encode("ascii")))
    except ValueError:  # of another length, no ASCII
        raise BadToken(Reason.MALFORMED) from None


def sid_from_uuid(uuid: UUID) -> str:
    """Return the id of a row as tokens hold it."""
    return base64url.encode(uuid.bytes).decode("ascii")
