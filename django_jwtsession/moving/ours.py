"""Whether a cookie's value is one of this package's, by its form: nothing is believed of it."""

from __future__ import annotations

from functools import lru_cache

from ..exceptions import BadToken
from ..tokens import base64url, session_key, strict_json

_TYPE = "ses+jwt"
_LONGEST_HEADER = 1024


def is_ours(value: str) -> bool:
    """Tell whether a value is a token with our type, or a key of ours."""
    header, dot, _ = value.partition(".")
    if not dot:
        return session_key.split(value) is not None
    return len(header) <= _LONGEST_HEADER and _says_so(header)


@lru_cache(64)
def _says_so(header: str) -> bool:
    try:
        return strict_json.loads(base64url.decode(header.encode("ascii"))).get("typ") == _TYPE
    except (BadToken, UnicodeEncodeError, RecursionError):
        return False
