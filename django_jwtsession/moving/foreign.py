"""What a session of others says of its login, and why one cannot move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
