"""When a session ends, when it is extended, what a response needs: pure functions of values.

Imports no Django. Times are Unix times and ages seconds unless they say otherwise.
"""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """What the middleware does with a session once the view has answered."""

    NOTHING = "nothing"
    DELETE = "delete the cookie"
    SAVE = "save the session, set its cookie"
    REFRESH = "extend the session, set its cookie"
    REISSUE = "set the cookie anew, the session stays as it is"
    TOUCH = "note in the row that the session was seen"


def respond(
    *,
    has_cookie: bool,
    empty: bool,
    write: bool,
    used: bool,
    status: int,
    prefetch: bool,
    refresh_due: bool,
    reissue_due: bool,
    touch_due: bool,
) -> Action:
    """Decide what a response needs.

    Arguments: `write` is true where the session was modified or every request saves; `used` where
    the request looked into it; the others tell what the request, the response and the engine say.
    """
    if empty:
        return Action.DELETE if has_cookie else Action.NOTHING
    if status >= 500:
        return Action.NOTHING
    if write:
        return Action.SAVE
    if not used or prefetch:
        return Action.NOTHING
    if refresh_due:
        return Action.REFRESH
    if reissue_due:
        return Action.REISSUE
    return Action.TOUCH if touch_due else Action.NOTHING


def absolute_end(auth_time: float | None, absolute_age: float) -> float | None:
    """Return when a login ends whatever happens, None for an anonymous session."""
    return None if auth_time is None else auth_time + absolute_age


def idle_end(now: float, idle_age: float, end: float | None) -> float:
    """Return the end of a session that is extended now, never later than its absolute `end`."""
    return now + idle_age if end is None else min(now + idle_age, end)


def refresh_due(now: float, expires_at: float, idle_age: float, end: float | None) -> bool:
    """Tell whether less than half of the idle time is left, and extending would gain any."""
    return expires_at - now < idle_age / 2 and idle_end(now, idle_age, end) > expires_at + 1
