"""What a process knows of ended sessions: 20 bytes a line, in sorted arrays of digests.

A session is known by 64 bits of a digest of its sid. Sids are random, 122 bits, and made by the
site: that a living one is taken for one of a million ended ones happens once in 10^13 looks.
"""

from __future__ import annotations

import math
import sys
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from .entries import EVERYONE, FOR_GOOD, SESSION, Line

# Shelves by the first bits of the digest: to put a line into one moves few bytes.
_BITS = 8
_SHIFT = 64 - _BITS
_64_BITS = 2**64 - 1
_NEVER = 2**32 - 1
# Lines that are put in while nobody can look.
_AT_ONCE = 500


def _slow_digest(sid: str) -> int:
    return int.from_bytes(blake2b(sid.encode(), digest_size=8).digest(), "big", signed=True)


# Python's own hash is a keyed one of 64 bits, seven times faster, and never leaves the process.
_digest = hash if sys.hash_info.width == 64 else _slow_digest


class _Shelf:
    """Lines of sessions, by their digests; several may be of one session."""

    __slots__ = ("digests", "ends", "epochs", "is_sorted")

    def __init__(self) -> None:
        self.digests = array("Q")
        self.epochs = array("q")
        self.ends = array("I")  # whole seconds, the next after the line's
        self.is_sorted = True

    def __len__(self) -> int:
        return len(self.digests)

    def sort(self) -> None:
        """Put what was appended into its place."""
        self.fill(sorted(zip(self.digests, self.epochs, self.ends, strict=True)))

    def fill(self, lines: list[tuple[int, int, int]]) -> None:
        """Hold just these lines, sorted."""
        self.digests = array("Q", (line[0] for line in lines))
        self.epochs = array("q", (line[1] for line in lines))
        self.ends = array("I", (line[2] for line in lines))
        self.is_sorted = True

    def thin_out(self, moment: float) -> None:
        """Forget what ends before a moment."""
        if self.ends and min(self.ends) <= moment:
            lines = zip(self.digests, self.epochs, self.ends, strict=True)
            self.fill(sorted(line for line in lines if line[2] > moment))


class UserEnd(NamedTuple):
    """All sessions of a user (or of everyone) from before a moment have ended, except one."""

    before: float
    expires_at: float
    pk: int


class Memory:
    """The lines that were read. Threads may look while one of them puts lines in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shelves = [_Shelf() for _ in range(2**_BITS)]
        # By user, by the session that goes on; "everyone" is a dictionary of its own.
        self.users: dict[str, dict[str, UserEnd]] = {}
        self.everyone: dict[str, UserEnd] = {}
        # Lines whose place a newer one has taken; they may still stand in the table.
        self.superseded: set[int] = set()

    def unlock(self) -> None:
        """Make a new lock, after a fork."""
        self._lock = threading.Lock()

    # --- asking ----------------------------------------------------------------------------------

    def epoch_of(self, sid: str) -> int | None:
        """Return the last epoch of a session that has ended, FOR_GOOD for all; None for none."""
        digest = _digest(sid) & _64_BITS
        shelf = self._shelves[digest >> _SHIFT]
        with self._lock:
            if not shelf.is_sorted:
                shelf.sort()
            digests = shelf.digests
            at, found = bisect_left(digests, digest), None
            while at < len(digests) and digests[at] == digest:
                found = max(found or 0, shelf.epochs[at])
                at += 1
            return found

    def epochs_of(self, sid: str) -> list[int]:
        """Return the epochs up to which a session has ended, one for each of its ends."""
        return [epoch for epoch, _ in self._lines_of(sid)]

    def end_of_lines(self, sid: str) -> int:
        """Return when no token needs the lines of a session any more, 0 where there are none."""
        return max((end for _, end in self._lines_of(sid)), default=0)

    def _lines_of(self, sid: str) -> list[tuple[int, int]]:
        digest = _digest(sid) & _64_BITS
        shelf = self._shelves[digest >> _SHIFT]
        with self._lock:
            if not shelf.is_sorted:
                shelf.sort()
            first = bisect_left(shelf.digests, digest)
            found = slice(first, bisect_right(shelf.digests, digest))
            return list(zip(shelf.epochs[found], shelf.ends[found], strict=True))

    def user_ends(self, sub: str) -> Iterator[tuple[str, UserEnd]]:
        """Yield what has ended of a user's sessions: the session that goes on, and the end."""
        if self.users and sub in self.users:
            yield from self.users[sub].items()
        if self.everyone:
            yield from self.everyone.items()

    def latest_end(self) -> float:
        """Return the latest moment from before which any user's logins have ended, 0 for none."""
        with self._lock:
            ends = [*self.users.values(), self.everyone]
        return max((end.before for each in ends for end in each.values()), default=0.0)

    # --- learning --------------------------------------------------------------------------------

    def put(self, lines: Iterable[Line]) -> None:
        """Remember lines that are not known yet."""
        sessions: list[Line] = []
        others: list[Line] = []
        for line in lines:
            (sessions if line.kind == SESSION else others).append(line)
        for start in range(0, len(sessions), _AT_ONCE):
            with self._lock:
                for line in sessions[start : start + _AT_ONCE]:
                    self._put_session(line.name, line.epoch, line.expires_at)
        with self._lock:
            for line in others:
                self._put_user(line)

    def _put_session(self, sid: str, epoch: int | None, expires_at: float) -> None:
        digest = _digest(sid) & _64_BITS
        shelf = self._shelves[digest >> _SHIFT]
        at = bisect_left(shelf.digests, digest) if shelf.is_sorted else len(shelf)
        shelf.digests.insert(at, digest)
        shelf.epochs.insert(at, FOR_GOOD if epoch is None else epoch)
        shelf.ends.insert(at, min(math.ceil(expires_at), _NEVER))

    def append(self, rows: Iterable[tuple[str, int | None, float]]) -> None:
        """Remember many sessions (sid, epoch, end) of which none is known: they are sorted later.

        Nobody may look meanwhile.
        """
        shelves = self._shelves
        for sid, epoch, expires_at in rows:
            digest = _digest(sid) & _64_BITS
            shelf = shelves[digest >> _SHIFT]
            shelf.is_sorted = False
            shelf.digests.append(digest)
            shelf.epochs.append(FOR_GOOD if epoch is None else epoch)
            shelf.ends.append(min(math.ceil(expires_at), _NEVER))

    def _put_user(self, line: Line) -> None:
        if line.before is None:
            return
        before = self._ends_beside(line)  # others may be walking through it
        ends = _that_count(before)
        self.superseded.update({end.pk for _, end in before} - {end.pk for end in ends.values()})
        if line.kind == EVERYONE:
            self.everyone = ends
        else:
            self.users[line.name] = ends

    def is_superseded(self, line: Line) -> bool:
        """Tell whether later ends of the same user, or of everyone, have taken a line's place."""
        if line.before is None:
            return False
        counts = _that_count(self._ends_beside(line)).get(line.keep_sid)
        return counts is None or counts.pk != line.pk

    def _ends_beside(self, line: Line) -> list[tuple[str, UserEnd]]:
        """Return the ends of a line's user that are known, and the line's own."""
        assert line.before is not None
        ends = self.everyone if line.kind == EVERYONE else self.users.get(line.name, {})
        return [*ends.items(), (line.keep_sid, UserEnd(line.before, line.expires_at, line.pk))]

    # --- counting and forgetting -----------------------------------------------------------------

    def sessions_after(self, moment: int) -> int:
        """Return how many lines of sessions end after a moment (whole seconds since 1970)."""
        return sum(end > moment for shelf in self._shelves for end in shelf.ends)

    def users_after(self, moment: int) -> int:
        """Return how many lines of users and of everyone end after a moment."""
        with self._lock:
            ends = [*self.users.values(), self.everyone]
            return sum(end.expires_at > moment for each in ends for end in each.values())

    def __len__(self) -> int:
        sessions = sum(len(shelf) for shelf in self._shelves)
        return sessions + sum(map(len, [*self.users.values(), self.everyone]))

    def forget_before(self, moment: float, part: int = 0, parts: int = 1) -> None:
        """Forget lines that end before a moment; only the `part`-th of `parts` of the shelves."""
        for shelf in self._shelves[part::parts]:
            with self._lock:
                shelf.thin_out(moment)
        with self._lock:
            self.everyone = _living(self.everyone, moment)
            living = {name: _living(ends, moment) for name, ends in self.users.items()}
            self.users = {name: ends for name, ends in living.items() if ends}


def _that_count(ends: list[tuple[str, UserEnd]]) -> dict[str, UserEnd]:
    """Return the newest end, and the newest that keeps another session.

    They say all: the first of each session but the one it keeps, the second of that one.
    """
    found: dict[str, UserEnd] = {}
    for keep, end in sorted(ends, key=lambda item: item[1], reverse=True):
        if keep not in found and len(found) < 2:
            found[keep] = end
    return found


def _living(ends: dict[str, UserEnd], moment: float) -> dict[str, UserEnd]:
    return {keep: end for keep, end in ends.items() if end.expires_at > moment}
