"""What a process keeps of what it met a moment ago, in bounded memory. Imports no Django."""

from __future__ import annotations

from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """Values by key, of the last `size` keys at least and twice as many at most.

    Two generations instead of a list in order of use: nothing is locked, and a look is one or two
    look-ups in a dictionary.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.clear()

    def clear(self) -> None:
        self._young: dict[str, V] = {}
        self._old: dict[str, V] = {}

    def look(self, key: str) -> V | None:
        """Return the value of `key`, which is in use then; None if it is not known."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.keep(key, found)
        return found

    def keep(self, key: str, value: V) -> None:
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[key] = value
