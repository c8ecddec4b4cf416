"""What a process has read lately: the newest key at each moment, and the lines of 15 minutes.

Moments are of the process's own monotonic clock: no other clock matters.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from operator import attrgetter

from .entries import Line, pack, unpack
from .reader import Key

# Seconds: a line becomes visible when its transaction commits, which may be later than others.
LOOK_BACK = 10.0
LONG_LOOK_BACK = 900.0
# A promoted standby gives up to 32 keys of a sequence out again.
MARGIN = 50


class Marks:
    """Which key was the newest, and when."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def begin(self, now: float, newest: list[Key]) -> None:
        """Begin with the newest keys of a table, the newest first, that was not read before.

        Nobody has looked at this clock when these came. So far the database's own says how long
        ago that was; where it lies, the count of the lines finds what was missed.
        """
        self._marks.clear()
        if not newest:
            return self._marks.append((now, 0))
        at = newest[0][1]
        for age in (LONG_LOOK_BACK, LOOK_BACK):
            keys = [key for key, created_at in newest if created_at >= at - age]
            self._marks.append((now - age, min(keys)))
        self._marks.append((now, newest[0][0]))

    def note(self, now: float, newest: int) -> None:
        """Note that a key was the newest just now."""
        if newest > self.newest:
            self._marks.append((now, newest))
        while len(self._marks) > 1 and self._marks[1][0] <= now - LONG_LOOK_BACK:
            self._marks.popleft()

    @property
    def newest(self) -> int:
        """The newest key that was read, 0 for none."""
        return self._marks[-1][1] if self._marks else 0

    def since(self, now: float, age: float) -> int:
        """Return above which key everything that came in the last `age` seconds is."""
        key = self._marks[0][1] if self._marks else 0
        for at, newest in self._marks:
            if at > now - age:
                break
            key = newest
        return max(key - MARGIN, 0)


@dataclass(frozen=True)
class _Chunk:
    learnt_at: float
    pks: array[int]  # in their order
    made: array[float]
    packed: bytes  # the lines; to keep them whole would take ten times as much


def _chunk(learnt_at: float, lines: list[Line]) -> _Chunk:
    lines = sorted(lines, key=attrgetter("pk"))
    pks = array("q", (line.pk for line in lines))
    return _Chunk(learnt_at, pks, array("d", (line.created_at for line in lines)), pack(lines))


class RecentLines:
    """The lines that were read within the last 15 minutes, and those that are looked at still."""

    def __init__(self) -> None:
        self._chunks: deque[_Chunk] = deque()

    def add(self, now: float, lines: list[Line], above: int) -> None:
        """Remember lines as read, and what they say for the case that the database loses them.

        Arguments: lines are kept for longer if a process looks at their keys for longer, as at the
        last ones of a table that nothing comes to: those `above` a key.
        """
        if lines:
            self._chunks.append(_chunk(now, lines))
        while self._chunks and self._chunks[0].learnt_at < now - LONG_LOOK_BACK - LOOK_BACK:
            oldest = self._chunks[0]
            if oldest.pks[0] > above:
                break
            self._chunks.popleft()
            if oldest.pks[-1] > above:
                kept = [line for line in unpack(oldest.packed) if line.pk > above]
                self._chunks.appendleft(_chunk(oldest.learnt_at, kept))

    def keys_above(self, key: int) -> set[Key]:
        """Return the keys above one; to look at 100,000 that are not would take 5 ms a poll."""
        found: set[Key] = set()
        for chunk in self._chunks:
            first = bisect_right(chunk.pks, key)
            found.update(zip(chunk.pks[first:], chunk.made[first:], strict=True))
        return found

    def missing(self, key: int, found: set[Key]) -> list[Line]:
        """Return the lines above a key that are not among those found, nor said by another."""
        gone = self.keys_above(key) - found
        if not gone:
            return []
        lines = [line for chunk in self._chunks for line in unpack(chunk.packed)]
        said = {line.says for line in lines if (line.pk, line.created_at) in found}
        return [
            line for line in lines if (line.pk, line.created_at) in gone and line.says not in said
        ]
