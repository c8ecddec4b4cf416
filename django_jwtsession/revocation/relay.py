"""REVOCATION_CACHE: one process at a time asks the database, the others learn it from a cache.

Whoever asks hangs the lines that came, in segments, to a chain of such, and then sends a pulse: it
tells the others that the database was asked, and where the chain ends. A copy of all lines is kept
for processes that start. A cache that is out of reach costs nothing but the queries that it spares;
one that forgets, or goes back to what it held before, breaks the chain, and the database is asked.

Nobody goes by another's clock. Of a pulse a process knows that it was not there when it looked
before; and while its turn is not over, that it is no older than a turn.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from uuid import uuid4

from .entries import Line, pack, unpack
from .shared import SharedCache

_KEPT = 900  # seconds; who was away for longer asks the database
_COPY_KEPT = 600
_COPY_EVERY = 300
_LONG_LOOK_EVERY = 60
# Lines of a segment: Memcached takes no more than a megabyte.
_SEGMENT = 2_000
# Lines that were read beside the cache wait for this process's turn, no more than these.
_MOST_WAITING = 10_000
# Of so many pulses and segments a process remembers the names.
_REMEMBERED = 200

# In intervals: from one look at the cache to the next, and to one more if another process is just
# asking. Together they are the second of the two intervals that are promised.
BETWEEN_LOOKS, SOON = 0.9, 0.1
# Seconds for which a turn lasts at least: Memcached knows no less.
_SHORTEST_TURN = 1

Ask = Callable[[], list[Line]]
Take = Callable[[list[Line]], Any]


def promise(interval: float) -> float:
    """Return the seconds after which an end is known to whoever visits a process."""
    return max(2 * interval, _SHORTEST_TURN + 0.1)


def latest_look(interval: float) -> float:
    """Return the seconds, from when all was known, to the last look by which that is kept."""
    return promise(interval) - SOON * interval


class Copy(NamedTuple):
    """All lines up to a key, in numbered pages."""

    name: str
    pages: int
    up_to: int


class Pulse(NamedTuple):
    """What a process says that has asked for all.

    `end` is the name of the last segment, `lasts` for how many seconds the turn is its own, and
    `sent_at` (Unix time) for people.
    """

    turn: str
    end: str
    lasts: float
    sent_at: float


class Relay:
    """What goes through the cache for one place, and how far this process has read it."""

    def __init__(self, place: str) -> None:
        self._cache = SharedCache(place)
        self._pulses: deque[str] = deque(maxlen=_REMEMBERED)
        # The newest segments that this process knows, the last of them at the end; none at first.
        self._ends: deque[str] = deque(maxlen=_REMEMBERED)
        self._turn = ""
        self._is_torn = False  # more came than this process has kept for the others
        self._looked_at = float("-inf")
        self._waiting: dict[int, Line] = {}

    def poll(self, now: float, known_at: float, interval: float, take: Take, ask: Ask) -> Any:
        """Learn what is new through the cache.

        Arguments: `now` and `known_at`, since when this process knows all, are by its own clock;
        `take` is given lines from the cache, `ask` asks the database and returns what was new.

        Returns since when, by that clock, everything is known; None where somebody is about to ask.
        """
        if self.rests():
            self.keep(ask())
            return now
        try:
            return self._poll(now, known_at, interval, take, ask)
        except _Asking as asking:
            raise asking.error from None
        except Exception:  # each cache's client has errors of its own
            self._cache.rest()
            self.keep(ask())
            return now

    def age(self) -> float | None:
        """Return how many seconds ago a process asked for all; None where none did lately."""
        pulse = self._cache.attempt(self._read_pulse)
        return None if pulse is None else round(max(time.time() - pulse.sent_at, 0.0), 3)

    def rests(self) -> bool:
        """Tell whether the cache has failed a moment ago, and is left alone."""
        return self._cache.rests()

    def hangs(self, patience: float) -> bool:
        """Tell whether a thread waits for the cache longer than that (seconds)."""
        return self._cache.hangs(patience)

    def keep(self, lines: list[Line]) -> None:
        """Keep lines that were read beside the cache: the others may not have them."""
        self._waiting.update((line.pk, line) for line in lines)
        if len(self._waiting) > _MOST_WAITING + len(lines):
            self._waiting.clear()
            self._is_torn = True

    def pass_on(self, lines: list[Line], take: Take) -> None:
        """Give the others lines that they would not look for as far back, now."""
        self.keep(lines)
        if lines and self._ends:
            self._cache.attempt(lambda: self._put_waiting(take))

    def is_turn_of_long_look(self) -> bool:
        """Tell whether this process looks far back, this minute: for all, or for itself alone."""
        return bool(self._cache.quietly("add", "long", 1, _LONG_LOOK_EVERY)) or self.rests()

    def _poll(self, now: float, known_at: float, interval: float, take: Take, ask: Ask) -> Any:
        before, self._looked_at = self._looked_at, now
        pulse = self._read_pulse()
        if pulse is None or not self._follow(pulse.end, take):
            # Nothing says what went by: what was missed is asked for.
            new = _asked(ask)
            self._begin(pulse)
            self.keep(new)
            if self._takes_turn(interval):
                self._send(interval, take)
            return now
        oldest, is_news = now - latest_look(interval), pulse.turn not in self._pulses
        if is_news:
            self._pulses.append(pulse.turn)
            known_at = max(known_at, before)
        turn = self._cache.call("get", "turn") if known_at < oldest else None
        if turn == pulse.turn:
            known_at = max(known_at, now - pulse.lasts)
        is_old = known_at < oldest
        if is_news and not is_old:
            return known_at
        if self._takes_turn(interval) or (is_old and turn and self._takes_over(turn, interval)):
            self.keep(_asked(ask))
            self._send(interval, take)
            return now
        if is_old and before < oldest:  # it was not visited, and cannot wait for the other's answer
            self.keep(_asked(ask))
            return now
        return None

    def _takes_turn(self, interval: float) -> bool:
        """Tell whether this process asks for all; its pulse will have the name of this turn."""
        self._turn = _name()
        return bool(self._cache.call("add", "turn", self._turn, _lasts(interval)))

    def _takes_over(self, turn: str, interval: float) -> bool:
        """Tell whether this process asks in the place of one whose answer does not come.

        That is dead, or polls less often. One for all does it: a database that is slow is not to be
        asked by each.
        """
        if not self._cache.call("add", f"instead:{turn}", 1, _lasts(interval)):
            return False
        # Nor is this one to be replaced while it asks: by each in turn, all would ask.
        self._cache.call("set", f"instead:{self._turn}", 1, _lasts(interval))
        self._cache.call("set", "turn", self._turn, _lasts(interval))
        return True

    def _read_pulse(self) -> Pulse | None:
        found = self._cache.call("get", "pulse")
        return None if found is None else Pulse(*found)

    def _send(self, interval: float, take: Take) -> None:
        if self._is_torn or not self._ends:  # a new chain: all others ask
            self._ends.clear()
            self._ends.append(_name())
            self._is_torn = False
        self._put_waiting(take)
        self._pulses.append(self._turn)
        pulse = Pulse(self._turn, self._ends[-1], _lasts(interval), time.time())
        self._cache.call("set", "pulse", tuple(pulse), _KEPT)

    # --- the chain -------------------------------------------------------------------------------

    def _begin(self, pulse: Pulse | None) -> None:
        """Go on from where a pulse says that the chain ends."""
        self._ends.clear()
        if pulse is not None:
            self._ends.append(pulse.end)

    def _follow(self, end: str, take: Take) -> bool:
        """Take the segments up to one, and what may be there beyond; False if it is not reached."""
        while self._ends and self._take_next(take):
            pass
        return end in self._ends

    def _take_next(self, take: Take) -> bool:
        found = self._cache.call("get", f"after:{self._ends[-1]}")
        if found is None:
            return False
        name, packed = found
        lines = unpack(packed)
        for line in lines:
            self._waiting.pop(line.pk, None)
        take(lines)
        self._ends.append(name)
        return True

    def _put_waiting(self, take: Take) -> None:
        for lines in _parts(list(self._waiting.values())):
            segment = _name(), pack(lines).decode()  # JSON, for caches that keep only that
            while not self._cache.call("add", f"after:{self._ends[-1]}", segment, _KEPT):
                if not self._take_next(take):  # no other process was faster
                    raise OSError("The cache does not keep what it is given.")
            self._ends.append(segment[0])
        self._waiting.clear()

    # --- a copy of all lines, for processes that start --------------------------------------------

    def copy(self) -> Copy | None:
        """Return the copy that is there."""
        found = self._cache.quietly("get", "copy")
        return None if found is None else Copy(*found)

    def page(self, copy: Copy, number: int) -> tuple[list[Any], list[Line]] | None:
        """Return a page of the copy, its sessions and its other lines; None where it is gone."""
        packed = self._cache.quietly("get", f"{copy.name}:{number}")
        if packed is None:
            return None
        sessions, others = json.loads(packed)
        return sessions, [Line(*values) for values in others]

    def is_turn_of_copy(self) -> bool:
        """Tell whether this process is the one that makes the copy."""
        return bool(self._cache.quietly("add", "copying", 1, _COPY_EVERY))

    def put_page(self, name: str, number: int, sessions: list[Any], others: list[Line]) -> None:
        packed = json.dumps([sessions, others], separators=(",", ":"))
        self._cache.quietly("set", f"{name}:{number}", packed, _COPY_KEPT)

    def put_copy(self, copy: Copy) -> None:
        """Say that all pages are there."""
        self._cache.quietly("set", "copy", tuple(copy), _COPY_KEPT - 60)


class _Asking(Exception):
    """The database, not the cache, has failed."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _asked(ask: Ask) -> list[Line]:
    try:
        return ask()
    except Exception as error:
        raise _Asking(error) from error


def _name() -> str:
    return uuid4().hex[:16]


def _lasts(interval: float) -> int:
    """Return for how many seconds a turn is a process's own; whole ones, for Memcached."""
    return max(_SHORTEST_TURN, int(interval))


def _parts(lines: list[Line]) -> Iterable[list[Line]]:
    return (lines[start : start + _SEGMENT] for start in range(0, len(lines), _SEGMENT))
