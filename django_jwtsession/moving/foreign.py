"""What a session of others says of its login, why one cannot move, and how one is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.sessions.backends.base import UpdateError
from django.db import Error, router

from ..models.registry import moved_model
from ..models.retry import is_conflict, run_again

# Unix time of the login, in the data of a session of another engine: where this package saw it.
KNOWN_AT_KEY = "_session_login_at"


@dataclass(frozen=True)
class Foreign:
    """What a cookie that others have made says; times are Unix times."""

    claims: Mapping[str, Any] = field(repr=False)
    expires_at: float
    issued_at: float | None = None


class Cannot(Exception):
    """A session is there and cannot move; the message says why, and nothing of what it holds."""


def login_time(data: dict[str, Any]) -> float | None:
    """Take out of a session's data the time of its login; None where nobody knows it."""
    at = data.pop(KNOWN_AT_KEY, None)
    return float(at) if type(at) in (int, float) and at > 0 else None


def save(session: Any) -> None:
    """Save a session of another engine, again where two writes have met (Galera: at COMMIT).

    Raises UpdateError where it has ended; Django's engine says the same of a write that has met.
    """

    def write() -> None:
        try:
            session.save()
        except UpdateError as error:
            met = error.__context__
            if isinstance(met, Error) and is_conflict(met):
                raise met from met.__cause__
            raise

    run_again(router.db_for_write(moved_model()), write)
