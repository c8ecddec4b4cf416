"""Challenges that nobody stores: an HMAC over a purpose, a session, the time and a nonce.

What is used is noted by its time (Binding.answer).
"""

from __future__ import annotations

import secrets
import time

from django.core.signing import BadSignature, Signer


def make(*about: str, after: int = 0, key: str = "") -> str:
    """Return a new challenge, `about` a purpose, a session, and what must not change meanwhile.

    Its time is later than `after`, a microsecond that another server's clock may have made; `key`
    is the thumbprint of the key that is to sign it, and stands in it.
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


def _signer(*about: str) -> Signer:
    return Signer(salt=".".join(("django_jwtsession.contrib.dbsc", *about)))
