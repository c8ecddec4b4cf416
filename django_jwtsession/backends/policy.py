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
    HAND_OVER = "set the cookie of the epoch that has begun, and store nothing"
    TOUCH = "note in the row that the session was seen"


def respond(
    *,
    has_cookie: bool,
    empty: bool,
    began: bool,
    ended: bool,
    no_token: bool,
    write: bool,
    used: bool,
    status: int,
    passive: bool,
    shared: bool,
    spoken: bool,
    refresh_due: bool,
    reissue_due: bool,
    touch_due: bool,
) -> Action:
    """Decide what a response needs.

    What is optional waits for the next answer where this one may be stored by others, or where the
    view has had its own say on the cookie.

    Arguments: `began` is true where this request has begun an epoch: the browser's cookie opens
    nothing any more, so the new one goes out even with an error, which else would be a logout.
    `ended` is true where this very request ended the session that came, `no_token` where what came
    can be nobody's; any other cookie of an empty session may be newer in the browser by now, or
    good on another server, and stays. `write` is true where the session was modified or every
    request saves; `used` where the request looked into it; `passive` where the visitor did
    nothing (a poll, a prefetch); `shared` where others may store the answer; `spoken` where the
    view has set or deleted the session cookie. The others tell what the engine says.
    """
    waits = shared or spoken
    if empty:
        gone = ended or (no_token and not waits)
        return Action.DELETE if has_cookie and gone else Action.NOTHING
    if status >= 500:
        return Action.HAND_OVER if began and has_cookie else Action.NOTHING
    if write:
        return Action.SAVE
    if not used or waits:
        return Action.NOTHING
    if refresh_due and not passive:
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
    """Tell whether half of the idle time is over, and extending would gain any."""
    return expires_at - now <= idle_age / 2 and _gains(now, expires_at, idle_age, end)


def _gains(now: float, expires_at: float, idle_age: float, end: float | None) -> bool:
    """Tell whether extending now would gain more than the second by which a fixed end wavers."""
    return idle_end(now, idle_age, end) > expires_at + min(1.0, idle_age / 4)


def copy_end(expires_at: float, idle_age: float, end: float | None) -> float:
    """Return until when nobody has to know the idle end: until the session could be extended.

    A copy that is trusted for longer keeps whoever is active from being seen, and extended.
    """
    half = expires_at - idle_age / 2
    return half if _gains(half, expires_at, idle_age, end) else expires_at
