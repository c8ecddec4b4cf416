"""How the feed is doing, for health checks and ``manage.py jwtsession status``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..conf import get_config
from .feed import get_feed


@dataclass(frozen=True)
class FeedHealth:
    """What a process knows of ended sessions, and since when.

    `place` names the database or tenant, "" for the only one. `is_on` is False without
    REVOCATION_POLL and in Django's test environment. `is_complete` tells that all lines have been
    read. `age` (seconds) is how long ago everything was known, math.inf for never; `entries` how
    many lines are known; `behind` how many of the table's newest are not. `is_ok` is what an alarm
    should go by.
    """

    place: str
    is_on: bool
    is_complete: bool
    age: float
    entries: int
    behind: int
    is_ok: bool


def feed_health() -> FeedHealth:
    """Return how this process's feed is doing in the place of this thread; one query.

    It says what is, and refreshes nothing: a process that nobody visits is behind, and learns all
    with its next visitor. Call `feed.load()` or `get_feed().refresh()` before, if that should not
    count.

    Raises DatabaseError where the database is out of reach.
    """
    config, feed = get_config(), get_feed()
    poll = config.revocation_poll
    if poll is None or not feed.polls():
        return FeedHealth(feed.place, False, False, math.inf, 0, 0, True)
    age, behind = feed.age(), feed.behind()
    is_ok = feed.is_complete and age <= poll + config.stale_if_error
    return FeedHealth(feed.place, True, feed.is_complete, age, feed.count(), behind, is_ok)
