"""The log of refused tokens: anybody can cause a refusal at will, and must not fill the log."""

from __future__ import annotations

import logging
import threading
import time

from ..exceptions import Reason
from ..history import log as audit

logger = logging.getLogger("django.security.jwtsession")

# Seconds in which the refusals of one reason share a record.
EVERY = 60.0


class Refusals:
    """Counts the refusals of each reason; the first is logged, then how many there were.

    One instance a process: `refusals`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget what was counted."""
        self._counts: dict[Reason, int] = {}
        self._logged_at: dict[Reason, float] = {}

    def log(self, reason: Reason) -> None:
        """Log a refusal, or count it where one of its reason was logged within the last minute."""
        audit.count_refusal(str(reason))
        if not logger.isEnabledFor(logging.WARNING):
            return
        count = self._count(reason, time.time())
        if not count:
            return
        code = str(reason)
        extra = {"reason": code, "count": count}
        if count == 1:
            logger.warning("Session token refused: %s", code, extra=extra)
        else:
            logger.warning("Session tokens refused: %s (%d)", code, count, extra=extra)

    def _count(self, reason: Reason, now: float) -> int:
        """Return for how many refusals a record is due, 0 for none."""
        with self._lock:
            count = self._counts.pop(reason, 0) + 1
            logged_at = self._logged_at.get(reason)
            # A clock that was set back must not silence the log.
            if logged_at is not None and logged_at <= now < logged_at + EVERY:
                self._counts[reason] = count
                return 0
            self._logged_at[reason] = now
            return count


refusals = Refusals()
