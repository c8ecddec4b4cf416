"""Asking the database for the feed: one thread at a time, and nobody waits long for it.

What a process knows, and when it asks, is in feed.py; how lines get into memory in learning.py.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from enum import StrEnum
from time import monotonic
from typing import Any

from django.db import DatabaseError, Error, InterfaceError, OperationalError, connections

from ..conf import Config, get_config
from ..models.place import current_alias, current_place
from ..models.retry import in_transaction, is_undone
from .announcements import pending
from .entries import FOR_GOOD, SESSION, Line
from .isolation import reads_old_snapshot
from .learning import Learning
from .relay import BETWEEN_LOOKS, SOON, Relay, latest_look, promise

logger = logging.getLogger("django_jwtsession")

# Seconds for which a request waits for the thread that asks.
PATIENCE = 1.0
# Polls of many processes spread: an interval is a random part of the setting from here up.
_SHORTEST_INTERVAL = 0.85

# How long (seconds) it counts that an epoch has begun, and how.
RECENT = 6.0


class NewEpoch(StrEnum):
    """How an epoch began; what the feed says in the place of a reason."""

    LOGIN = "epoch"  # a login, a new password, an end of all others
    PROOF = "proof"


_NEW_EPOCHS = frozenset(NewEpoch)


class FeedUnavailable(DatabaseError):
    """Nobody can tell any more which sessions were ended: the request fails, as without a row."""


class Asking:
    """What a process has read of one place, and when it asks again."""

    def __init__(self, place: str = "") -> None:
        self.place = place
        self.unlock()
        self.clear()

    def unlock(self) -> None:
        """Make new locks: after a fork, one that another thread held would never be released."""
        self._lock = threading.Lock()  # held while the database is asked
        self._changing = threading.Lock()  # held while the entries change
        if hasattr(self, "_learning"):
            self._learning.unlock()

    def clear(self) -> None:
        """Forget everything; the next question loads it anew."""
        self._learning = Learning()
        self._relay = Relay(self.place)
        # What this process ended itself, until it reads so: the epoch, until when that counts, and
        # the epoch that it had ended before.
        self._own: dict[str, tuple[int, float, int]] = {}
        # How the epochs began that are new, when that was learned, and the epoch.
        self._begun: dict[str, tuple[NewEpoch, float, int]] = {}
        self._asked_at = self._next_ask = float("-inf")
        self._outage = self._out_of_patience = False
        self._asking_since: float | None = None

    def age(self) -> float:
        """Return how many seconds ago all was known, math.inf for never."""
        return monotonic() - self._asked_at

    def _due(self, max_age: float | None) -> bool:
        now = monotonic()
        if not self._learning.settled:
            return not (self._outage and now < self._next_ask)
        if max_age is not None and not (self._outage and now < self._next_ask):
            return now - self._asked_at > max_age
        return now >= self._next_ask

    def load(self) -> None:
        """Read all that is in force, now; call it before a process serves (docs/revocation.md).

        In wsgi.py it is done once for all workers of `gunicorn --preload`, in a post_fork hook or
        an ASGI server's start-up once for each process. A connection that it opens it closes, and
        psycopg's pool as well, so that none is shared by a fork. Where all was read already, and
        where the feed is off, it returns at once: a readiness probe may call it.

        Raises DatabaseError where the table cannot be read.
        """
        if get_config().revocation_poll is None or self._learning.settled:
            return
        connection: Any = connections[current_alias()]
        was_open, pool_was_shut = connection.connection is not None, _pool_is_shut(connection)
        started = monotonic()
        try:
            with self._lock:
                while not self._learning.settled:
                    started = monotonic()
                    if not self._learning.read_page(started, self._relay if _cache() else None):
                        time.sleep(0.1)  # another process makes a copy for all
                self._answered(started)
        finally:
            if not was_open and not connection.in_atomic_block:
                connection.close()
                if pool_was_shut:  # or its connections would be shared, and answers mixed
                    connection.close_pool()

    def _must_wait(self, max_age: float | None) -> bool:
        # While the database is out of reach, or does not answer at all, nobody queues up for it.
        if self._outage or self._out_of_patience or not self._learning.complete:
            return False
        interval = poll_interval()
        return max_age is not None or self.age() > (promise(interval) if _cache() else 2 * interval)

    def _ask_once(self, max_age: float | None) -> None:
        connection: Any = connections[current_alias()]
        if connection.needs_rollback:  # a broken transaction is no outage, and no answer
            return
        if not self._lock.acquire(blocking=False):
            if self._relay.hangs(PATIENCE):  # who asks waits for the cache, not for the database
                self._ask(max_age)
                return
            if not self._must_wait(max_age):
                return
            if _is_owed(current_alias(), connection):
                # The asker may be waiting for just this connection: ask with it, beside the asker.
                self._ask(max_age)
                return
            if not self._lock.acquire(timeout=PATIENCE):
                self._out_of_patience = True
                return
        try:
            if self._due(max_age):  # nobody did it while this thread waited
                self._ask(max_age)
        finally:
            self._lock.release()

    def _ask(self, max_age: float | None = None) -> None:
        started = self._asking_since = monotonic()
        using = current_alias()
        try:
            if current_place() != self.place:  # an event loop's thread has another connection
                raise FeedUnavailable("The feed of another place was asked for.")
            counts = not reads_old_snapshot(using)
            known_at = self._read(started, counts, max_age)
        except Error as error:
            if is_undone(error, using):
                raise
            if in_transaction(using) and not isinstance(error, OperationalError | InterfaceError):
                return  # of a transaction that is broken, not of a database out of reach
            self.report_outage()
            self._next_ask = monotonic() + poll_interval()
            return
        finally:
            self._asking_since = None
        if counts:
            self._answered(known_at)

    def _read(
        self, started: float, counts: bool = True, max_age: float | None = None
    ) -> float | None:
        """Learn what is new; return since when all is known, None where nothing was found out.

        Arguments: `counts` tells that the answer is of now, not of an old snapshot; `max_age` is
        what refresh() was asked for: a cache cannot say that.
        """
        learning, relay = self._learning, self._relay if _cache() else None
        if not learning.complete:
            learning.read_page(started, relay)
            return started
        pending, known_at = pending_keys(), started
        new: list[Line] = []

        def ask() -> list[Line]:
            found = learning.look(started, pending)
            new.extend(found)
            return found

        if relay is not None and counts and max_age is None:
            known_at = relay.poll(
                started,
                self._asked_at,
                poll_interval(),
                take=lambda lines: new.extend(learning.take(started, lines)),
                ask=ask,
            )
        else:
            ask()
            if relay is not None:
                relay.keep(new)
        if counts and learning.loading:
            learning.read_page(started, relay)
        elif counts and learning.is_long_look_due(started, relay):
            found = learning.look_back(started, pending)
            new += found
            if relay is not None:
                relay.pass_on(found, lambda lines: new.extend(learning.take(started, lines)))
            self._forget_old()
        for line in new:
            if line.kind == SESSION:
                self._note(line.name, line.reason, epoch_of_line(line) + 1)
                self._forget_own(line)
        return known_at

    def _answered(self, known_at: float | None) -> None:
        """Note since when everything is known (by the process's own clock), and ask again later."""
        now, interval = monotonic(), poll_interval()
        rest = interval * random.uniform(_SHORTEST_INTERVAL, 1)  # noqa: S311
        if known_at is None:  # another process is asking for all
            self._next_ask = now + rest * SOON
            return
        self._asked_at = max(known_at, self._asked_at)
        # Not earlier: until then asking is due, and who cannot go on without it waits for it.
        self._next_ask = self._asked_at + rest
        if _cache():
            last = max(self._asked_at + latest_look(interval), now + rest * SOON)
            self._next_ask = min(now + rest * BETWEEN_LOOKS, last)
        self._out_of_patience = False
        if self._outage:
            logger.warning("The database can be read again.")
        self._outage = False

    def report_outage(self) -> None:
        """Log the exception that is being handled, once an outage."""
        with self._changing:  # requests find it out at the same time
            is_known, self._outage = self._outage, True
        if not is_known:
            logger.exception(
                "The database is out of reach; sessions go on with what is known for"
                " STALE_IF_ERROR."
            )

    def _check_age(self, config: Config) -> None:
        """Raise where the last answer is too old to be trusted: never a silent pass."""
        if not self._learning.complete and not self._outage:
            return  # each session is looked up
        if self.age() <= (config.revocation_poll or 0.0) + config.stale_if_error:
            return
        if not self._outage and reads_old_snapshot(current_alias()):
            return  # as old as what this transaction sees anyway
        never = "" if self._asked_at > 0 else " Run `manage.py migrate` if it has no table."
        raise FeedUnavailable(
            f"The revocation feed could not be read for longer than STALE_IF_ERROR.{never}"
        )

    def _note(self, name: str, reason: str, epoch: int) -> None:
        if reason in _NEW_EPOCHS:
            self._begun[name] = NewEpoch(reason), time.time(), epoch

    def _forget_own(self, line: Line) -> None:
        """An end of this process's own has been read: now the memory knows it."""
        with self._changing:
            own = self._own.get(line.name)
            if own is not None and own[0] <= epoch_of_line(line):
                del self._own[line.name]

    def _forget_old(self) -> None:
        at = time.time()
        with self._changing:
            self._own = {sid: own for sid, own in self._own.items() if own[1] > at}
            self._begun = {sid: one for sid, one in self._begun.items() if one[1] + RECENT > at}


def epoch_of_line(line: Line) -> int:
    """Return the last epoch that a line ends, FOR_GOOD for all."""
    return FOR_GOOD if line.epoch is None else line.epoch


def pending_keys() -> set[int]:
    """Return the keys that this thread's transaction sees and nobody else."""
    return {pk for announcement in pending(current_alias()) for pk in announcement.pks}


def _pool_is_shut(connection: Any) -> bool:
    """Tell whether this process has a pool that it has not opened yet, or has closed."""
    return bool(getattr(getattr(connection, "pool", None), "closed", False))


def _is_owed(using: str, connection: Any) -> bool:
    """Tell whether this thread has a connection that others may be waiting for."""
    if connection.connection is None:
        return False
    return in_transaction(using) or bool(connection.settings_dict["OPTIONS"].get("pool"))


def _cache() -> str | None:
    return get_config().revocation_cache


def poll_interval() -> float:
    """Return REVOCATION_POLL in seconds."""
    return get_config().revocation_poll or 0.0
