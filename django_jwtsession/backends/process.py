"""What a process remembers of the sessions that it served, in bounded memory."""

from __future__ import annotations

import time
from threading import Lock


class Written(dict[str, tuple[int, int, float]]):
    """What this process wrote while an older copy could still be trusted: epoch, version, until.

    By sid. Between processes a copy can be REVALIDATE_AFTER seconds behind; a process trusts none
    that is older than what it wrote itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()
        self._next_purge = 0.0

    def forget(self) -> None:
        """Be as a process that has just started."""
        self.clear()
        self._next_purge = 0.0

    def note(self, sid: str, epoch: int, version: int, until: float) -> None:
        """Trust no copy that is older than `version` before `until` (Unix time).

        The thread that wrote last need not be the last to say so.
        """
        now = time.time()
        with self._lock:
            if now >= self._next_purge:
                self._next_purge = until
                for name in [name for name, one in self.items() if one[2] < now]:
                    del self[name]
            known = self.get(sid)
            if known is None or known[:2] <= (epoch, version):
                self[sid] = epoch, version, until


# Seconds in which a request that was sent with the old token may still come, or be under way. Not
# longer: the answer with the new token may have been lost.
_KEPT_FOR = 60.0


class Superseded:
    """The tokens that this process replaced lately, by their hash. One instance a process."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Be as a process that has just started."""
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


written = Written()
superseded = Superseded()
