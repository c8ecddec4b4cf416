"""`new SignJWT({ userId, expiresAt })` of jose, as Next.js' guide to sessions has it.

A compact JWS with HS256 under the bytes of a secret (RFC 7515), in the cookie `session`.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ...exceptions import BadToken, Reason
from ...moving.foreign import Foreign
from ...tokens import base64url, strict_json

COOKIES = ("session",)
USER_ID = "userId"


def read(value: str, name: str, secrets: Sequence[str | bytes]) -> Foreign:
    """Return what a cookie says. Raises BadToken, or ValueError, for one that is not good."""
    signed, _, mac = value.encode("ascii").rpartition(b".")
    head, dot, body = signed.partition(b".")
    header = strict_json.loads(base64url.decode(head))
    if not dot or header.get("alg") != "HS256" or "crit" in header:
        raise BadToken(Reason.HEADER)
    given = base64url.decode(mac)
    if not any(hmac.compare_digest(given, _mac(secret, signed)) for secret in secrets):
        raise BadToken(Reason.SIGNATURE)
    claims = strict_json.loads(base64url.decode(body))
    return Foreign(claims, _end(claims), _number(claims.get("iat")))


def _mac(secret: str | bytes, signed: bytes) -> bytes:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.digest(key, signed, "sha256")


def _end(claims: dict[str, Any]) -> float:
    """Return the earlier of `exp` and `expiresAt`. Raises ValueError if there is neither."""
    ends = [_number(claims.get("exp")), _moment(claims.get("expiresAt"))]
    return min(end for end in ends if end is not None)


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _moment(value: Any) -> float | None:
    """Return a JavaScript date as Unix time: JSON has it as ISO 8601, a number is milliseconds."""
    if isinstance(value, str):
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    number = _number(value)
    return None if number is None else number / 1000
