"""The key of a session with a row: its sid and 18 characters that only its holder knows.

40 characters, as long as Django's own columns for session keys; a credential, unlike the sid.
"""

from __future__ import annotations

import re
from os import urandom

from . import base64url

LENGTH = 40
_SID_LENGTH = 22
# A sid as sid.new_sid() makes it: 16 bytes with the marks of RFC 9562 5.4, no bits left over. A key
# is not authentic before the row was read, and MariaDB takes no other numbers into its uuid column.
_is_key = re.compile(
    r"[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw][A-Za-z0-9_-]{18}"
).fullmatch


def new_key_part() -> str:
    """Return the part of a key that is random: 18 characters of base64url, 108 bits."""
    return base64url.encode(urandom(14))[: LENGTH - _SID_LENGTH].decode("ascii")


def join(sid: str, part: str) -> str:
    """Return the key of the session `sid` whose random part is `part`."""
    return sid + part


def split(key: str) -> tuple[str, str] | None:
    """Return the sid and the random part of `key`, None for what is no key of ours.

    The random part is still to be compared, in constant time, with the row's.
    """
    return (key[:_SID_LENGTH], key[_SID_LENGTH:]) if _is_key(key) else None
