"""What a process keeps of what it met a moment ago, in bounded memory. Imports no Django."""

from __future__ import annotations

from typing import TypeVar

V = TypeVar("V")


class Recent(dict[str, V]):
    """Values by key, of the last `size` keys at least and twice as many at most.

    Two generations instead of a list in order of use: nothing is locked, and a look is one or two
    look-ups in a dictionary: ``recent.get(key) or recent.older(key)``.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._old: dict[str, V] = {}

    def older(self, key: str) -> V | None:
        """Return the value of a key that is not among the young, which is in use then."""
        found = self._old.get(key)
        if found is not None:
            self.keep(key, found)
        return found

    def keep(self, key: str, value: V) -> None:
        if len(self) >= self._size:
            self._old = dict(self)
            self.clear()
        self[key] = value

    def forget(self) -> None:
        """Be as new."""
        self.clear()
        self._old = {}
