"""How long a login may last and how many there may be: what `JWTSESSION["POLICY"]` answers.

The setting is the dotted path of one function, `policy(user, request) -> Policy`, which is asked at
each login; its answer is kept in the session. `staff` is one that is ready made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

__all__ = ["LoginRefused", "Policy", "staff"]

Duration = float | timedelta | None
_LONGEST = 100 * 366 * 86400
_ON_LIMIT = ("oldest", "refuse")


class LoginRefused(PermissionDenied):
    """The user has as many sessions as the policy allows: nobody was logged in (403).

    `LoginView` shows its form again; a login view of a site's own may catch it from `login()`.
    """


@dataclass(frozen=True)
class Policy:
    """What holds for one login; None leaves what the settings say.

    Attributes: `idle` and `absolute` are seconds or a timedelta: how long the session lives without
    being used, and after its login in any case (ABSOLUTE_AGE ends it all the same). `limit` is the
    most sessions of the user, in place of MAX_SESSIONS_PER_USER; over it the oldest ends, or the
    login is refused (`on_limit`). `persistent` tells whether the browser keeps the cookie when it
    is closed.

    Raises ValueError for what is none of these.
    """

    idle: Duration = None
    absolute: Duration = None
    limit: int | None = None
    on_limit: str = "oldest"
    persistent: bool | None = None

    def __post_init__(self) -> None:
        for name in ("idle", "absolute"):
            object.__setattr__(self, name, _seconds(name, getattr(self, name)))
        if self.limit is not None and (type(self.limit) is not int or self.limit < 1):
            raise ValueError("Policy.limit must be a number, 1 or more, or None.")
        if self.on_limit not in _ON_LIMIT:
            raise ValueError('Policy.on_limit must be "oldest" or "refuse".')
        if self.persistent not in (None, True, False):
            raise ValueError("Policy.persistent must be True, False or None.")


def _seconds(name: str, value: Any) -> float | None:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if value is None or (type(value) in (int, float) and 0 < value <= _LONGEST):
        seconds: float | None = value
        return seconds
    raise ValueError(f"Policy.{name} must be seconds or a timedelta, more than 0, or None.")


def staff(user: Any, request: HttpRequest) -> Policy:
    """Sign staff out after an hour without use, and twelve hours after their login."""
    if getattr(user, "is_staff", False):
        return Policy(idle=timedelta(hours=1), absolute=timedelta(hours=12))
    return Policy()
