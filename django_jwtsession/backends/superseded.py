"""Which tokens of the cookie engine a write has replaced: nothing else remembers older data."""

from __future__ import annotations

# Seconds in which a request that was sent with the old token may still come, or be under way. Not
# longer: the answer with the new token may have been lost.
_KEPT_FOR = 60.0


class Superseded:
    """The tokens that this process replaced lately, by their hash. One instance a process."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._until: dict[int, float] = {}
        self._next_purge = 0.0

    def add(self, token: str | None, now: float) -> None:
        """Note that a write replaces `token`."""
        if token is None:
            return
        if now >= self._next_purge:
            self._next_purge = now + _KEPT_FOR
            self._until = {key: end for key, end in list(self._until.items()) if end > now}
        self._until[hash(token)] = now + _KEPT_FOR

    def includes(self, token: str | None, now: float) -> bool:
        """Tell whether `token` holds older data than the browser may have by now."""
        return self._until.get(hash(token), 0.0) > now


superseded = Superseded()
