"""Challenges that nobody stores: an HMAC over a purpose, a session, the time and a nonce.

An app notes by its time which one is used: see contrib/dbsc.
"""

from __future__ import annotations

import secrets
import time

from django.core.signing import BadSignature, Signer


def make(*about: str, after: int = 0, key: str = "") -> str:
    """Return a new challenge, `about` a purpose, a session, and what must not change meanwhile.

    Its time is later than `after`, a microsecond that another server's clock may have made; `key`
    stands in it: the thumbprint of the key that is to sign it, or the session that an offer is for.
    """
    at = max(int(time.time() * 1e6), after + 1)
    return _signer(*about).sign(f"{at}.{secrets.token_urlsafe(12)}.{key}")


def made_at(given: object, age: float, *about: str) -> int | None:
    """Return the microsecond of a challenge of ours; None for another, and after `age` seconds.

    It may be in the future: another server's clock may be ahead.
    """
    try:
        at = int(_signer(*about).unsign(str(given)).partition(".")[0])
    except (BadSignature, ValueError):
        return None
    return at if time.time() - at / 1e6 <= age else None


def key_in(given: object) -> str:
    """Return the `key` of a challenge, which may be none of ours."""
    return str(given).partition(":")[0].rpartition(".")[2]


def _signer(*about: str) -> Signer:
    return Signer(salt=".".join(("django_jwtsession.contrib.challenges", *about)))
