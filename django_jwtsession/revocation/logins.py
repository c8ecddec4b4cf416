"""Which logins are over: for lists of sessions that have no rows.

An epoch that has ended is not the end of its session: after a login, a new password or a proof of
identity it goes on in the next one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from . import reader
from .entries import AGE
from .feed import NewEpoch, get_feed

_GOES_ON = frozenset({*NewEpoch, AGE})


class Login(NamedTuple):
    """A login as the history has it: `sub` is the user's pk as text, `at` a Unix time."""

    sid: str
    sub: str
    at: float


def ended_of(logins: Iterable[Login]) -> set[str]:
    """Return the sids of those logins whose sessions are known to have ended, in every epoch.

    One query where there are sessions of which an epoch has ended, else none.

    Raises DatabaseError where the database is out of reach for longer than STALE_IF_ERROR.
    """
    feed = get_feed()
    feed.refresh()
    ended, passed = set(), set()
    for sid, sub, at in logins:
        if feed.revoked(sid, sub, at, math.inf):
            ended.add(sid)
        elif feed.end_of(sid) is not None:
            passed.add(sid)
    return ended | _without_next_epoch(passed)


def _without_next_epoch(sids: set[str]) -> set[str]:
    """Return the sids of the sessions that end with the last epoch that has ended."""
    last: dict[str, int] = {}
    going_on: dict[str, int] = {}
    for line in reader.lines_named(*sids) if sids else ():
        epoch = line.epoch or 0
        last[line.name] = max(last.get(line.name, 0), epoch)
        if line.reason in _GOES_ON:
            going_on[line.name] = max(going_on.get(line.name, 0), epoch)
    return {sid for sid, epoch in last.items() if going_on.get(sid, -1) < epoch}
