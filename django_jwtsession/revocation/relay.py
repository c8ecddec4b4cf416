"""REVOCATION_CACHE: one process at a time asks the database, the others learn it from a cache.

Whoever asks puts the lines that came into the next of a row of numbered segments, and then a new
pulse: it tells the others that the database was asked. A copy of all lines is kept for processes
that start. A cache that is out of reach costs nothing but the queries that it spares.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import uuid4

from django.core.cache import caches

from ..conf import get_config
from .entries import Line, pack, unpack

logger = logging.getLogger("django_jwtsession")

_KEPT = 900  # seconds; who was away for longer asks the database
_COPY_KEPT = 600
_COPY_EVERY = 300
_LONG_LOOK_EVERY = 60
# Seconds for which a cache that failed is left alone.
_REST = 30.0
# Lines that were read beside the cache wait for this process's turn, no more than these.
_MOST_WAITING = 10_000

Ask = Callable[[], list[Line]]
Take = Callable[[list[Line]], Any]


class Copy(NamedTuple):
    """All lines up to a key, in numbered pages."""

    name: str
    pages: int
    up_to: int


class Relay:
    """What goes through the cache for one place, and how far this process has read it."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._run = ""
        self._number = 0
        self._pulse = self._turn = ""
        self._looked_at = self._rests_until = float("-inf")
        self._waiting: dict[int, Line] = {}

    def poll(self, now: float, interval: float, take: Take, ask: Ask) -> Any:
        """Learn what is new through the cache.

        Arguments: `now` is by the process's own clock; `take` is given lines from the cache, `ask`
        asks the database and returns what was new.

        Returns since when, by that clock, everything is known; None where somebody is about to ask.
        """
        if now < self._rests_until:
            ask()
            return now
        try:
            return self._poll(now, interval, take, ask)
        except _Asking as asking:
            raise asking.error from None
        except Exception:  # each cache's client has errors of its own
            self._rests_until = now + _REST
            logger.warning(
                "JWTSESSION REVOCATION_CACHE cannot be used: the database is asked.", exc_info=True
            )
            ask()
            return now

    def age(self) -> float | None:
        """Return how many seconds ago a process asked for all; None where none did lately."""
        pulse = self._quietly(lambda: self._cache.get(self._key("pulse")))
        return None if pulse is None else round(max(time.time() - pulse[3], 0.0), 3)

    def keep(self, lines: list[Line]) -> None:
        """Keep lines that were read beside the cache: the others may not have them."""
        self._waiting.update((line.pk, line) for line in lines)
        while len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def is_turn_of_long_look(self) -> bool:
        """Tell whether this process is the one that looks far back, this minute."""
        return bool(self._cache.add(self._key("long"), 1, _LONG_LOOK_EVERY))

    def _poll(self, now: float, interval: float, take: Take, ask: Ask) -> Any:
        before, self._looked_at = self._looked_at, now
        found = self._cache.get(self._key("pulse"))
        run, number, pulse = found[:3] if found else ("", 0, "")
        is_news, self._pulse = pulse != self._pulse, pulse
        if not run or run != self._run or not self._follow(number, take):
            # Nothing says what went by: what was missed is asked for.
            new = _asked(ask)
            self._run, self._number = run, number
            self.keep(new)
            if self._is_turn(interval):
                self._send(take)
            return now
        oldest = now - 2 * interval
        # After a pause the news may be as old as that, but not if the turn it is of is not over.
        if is_news and (before >= oldest or self._cache.get(self._key("turn")) == pulse):
            return max(before, oldest)
        if self._is_turn(interval):
            self.keep(_asked(ask))
            self._send(take)
            return now
        if before < oldest:  # too old to go on with until the other has its answer
            self.keep(_asked(ask))
            return now
        return None

    def _is_turn(self, interval: float) -> bool:
        """Tell whether this process asks for all; its pulse will have the name of this turn."""
        self._turn = uuid4().hex
        return bool(self._cache.add(self._key("turn"), self._turn, max(1, math.ceil(interval))))

    def _follow(self, number: int, take: Take) -> bool:
        """Take the segments up to a number, and what may be there beyond; False if one is gone."""
        while self._take_next(take):
            pass
        return self._number >= number

    def _take_next(self, take: Take) -> bool:
        packed = self._cache.get(self._segment(self._number + 1))
        if packed is None:
            return False
        lines = unpack(packed)
        for line in lines:
            self._waiting.pop(line.pk, None)
        take(lines)
        self._number += 1
        return True

    def _send(self, take: Take) -> None:
        self._run = self._run or uuid4().hex
        if self._waiting:
            lines = list(self._waiting.values())
            while not self._cache.add(self._segment(self._number + 1), pack(lines), _KEPT):
                self._take_next(take)  # another process was faster
            self._number += 1
            self._waiting.clear()
        self._pulse = self._turn
        found = (self._run, self._number, self._pulse, time.time())  # the time is for people
        self._cache.set(self._key("pulse"), found, _KEPT)

    # --- a copy of all lines, for processes that start --------------------------------------------

    def copy(self) -> Copy | None:
        """Return the copy that is there."""
        found = self._quietly(lambda: self._cache.get(self._key("copy")))
        return None if found is None else Copy(*found)

    def page(self, copy: Copy, number: int) -> tuple[list[Any], list[Line]] | None:
        """Return a page of the copy, its sessions and its other lines; None where it is gone."""
        packed = self._quietly(lambda: self._cache.get(self._key(f"{copy.name}:{number}")))
        if packed is None:
            return None
        sessions, others = json.loads(packed)
        return sessions, [Line(*values) for values in others]

    def is_turn_of_copy(self) -> bool:
        """Tell whether this process is the one that makes the copy."""
        return bool(self._quietly(lambda: self._cache.add(self._key("copying"), 1, _COPY_EVERY)))

    def put_page(self, name: str, number: int, sessions: list[Any], others: list[Line]) -> None:
        packed = json.dumps([sessions, others], separators=(",", ":"))
        self._quietly(lambda: self._cache.set(self._key(f"{name}:{number}"), packed, _COPY_KEPT))

    def put_copy(self, copy: Copy) -> None:
        """Say that all pages are there."""
        self._quietly(lambda: self._cache.set(self._key("copy"), tuple(copy), _COPY_KEPT - 60))

    def _quietly(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception:
            logger.warning("JWTSESSION REVOCATION_CACHE cannot be used.", exc_info=True)
            return None

    @property
    def _cache(self) -> Any:
        return caches[get_config().revocation_cache or "default"]

    def _segment(self, number: int) -> str:
        return self._key(f"{self._run}:{number}")

    def _key(self, name: str) -> str:
        return f"django_jwtsession:feed:{self._place}:{name}"


class _Asking(Exception):
    """The database, not the cache, has failed."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _asked(ask: Ask) -> list[Line]:
    try:
        return ask()
    except Exception as error:
        raise _Asking(error) from error
