"""When a session ends, when it is extended, what a response needs: pure functions of values.

Imports no Django. Times are Unix times and ages seconds unless they say otherwise.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


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


class Verdict(Enum):
    """What a token's generation says about who sent it (DESIGN 2.4)."""

    CURRENT = "the row's generation"
    ISSUE_NEXT = "the row's generation, and the next one is to be issued, or issued again"
    CONFIRM = "the next generation has arrived in the browser"
    LATE = "the last generation, from a request that was under way"
    REUSED = "an older generation: somebody holds a copy"
    IMPOSSIBLE = "a generation that was never issued, as after restoring a backup"


class Generations(NamedTuple):
    """The rotation state of a row; times as Unix times."""

    generation: int
    confirmed_at: float
    next_issued_at: float | None


def judge(
    token: int,
    row: Generations,
    now: float,
    *,
    rotate_after: float | None,
    grace: float,
    settle: float = 0.0,
) -> Verdict:
    """Judge the generation of a token by the row's.

    Arguments: `now` is when the request began, however late it asks; `rotate_after` (seconds, None
    for no rotation); `grace` (seconds after a confirmation in which the last generation is a
    request under way, and nobody's theft); `settle` (seconds after the first issue in which the
    next generation confirms nothing: an answer with the last one may still be on its way to the
    browser, and would stay there for good).
    """
    if rotate_after is None:
        return Verdict.CURRENT
    ahead = token - row.generation
    if ahead == 0:
        due = now - row.confirmed_at >= rotate_after
        return Verdict.ISSUE_NEXT if due or row.next_issued_at is not None else Verdict.CURRENT
    if ahead == 1 and row.next_issued_at is not None:
        return Verdict.CONFIRM if now - row.next_issued_at >= settle else Verdict.CURRENT
    if ahead > 0:
        return Verdict.IMPOSSIBLE
    # Rotations are at least `rotate_after` apart, so that is when this token was replaced at the
    # latest. A stream may ask for hours under the token with which it began.
    replaced_at = row.confirmed_at + (ahead + 1) * rotate_after
    return Verdict.LATE if now - replaced_at <= grace else Verdict.REUSED
