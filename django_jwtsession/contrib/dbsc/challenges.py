"""Challenges that nobody stores: an HMAC over a purpose, a session, the time and a nonce.

What is used is noted by its time (Binding.answer); no two of one process have the same.
"""

from __future__ import annotations

import secrets
import time

from django.core.signing import BadSignature, Signer

from ...conf import get_config

_last = 0


def make(*about: str, after: int = 0) -> str:
    """Return a new challenge, `about` a purpose, a session, and what must not change meanwhile.

    Its time is later than `after`, a millisecond that another server's clock may have made.
    """
    global _last
    now = int(time.time() * 1000)
    _last = _last + 1 if now <= _last < now + 1000 else now  # later than before
    return _signer(*about).sign(f"{max(_last, after + 1)}.{secrets.token_urlsafe(12)}")


def made_at(given: object, age: float, *about: str) -> int | None:
    """Return the millisecond of a challenge of ours; None for another, and after `age` seconds."""
    try:
        at = int(_signer(*about).unsign(str(given)).partition(".")[0])
    except (BadSignature, ValueError):
        return None
    return at if -get_config().leeway <= time.time() - at / 1000 <= age else None


def _signer(*about: str) -> Signer:
    return Signer(salt=".".join(("django_jwtsession.contrib.dbsc", *about)))
