"""The revocation feed: what this process knows of sessions that were ended (DESIGN 2.5).

Stateless tokens need an answer to "is it revoked?" without a query each. Every process keeps the
unexpired lines of the table Revocation in memory and asks for new ones at most once a second, in
the request that finds it due. How it asks is in learning.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
import time
from contextlib import suppress
from time import monotonic
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, Error, InterfaceError, OperationalError, connections

from ..conf import Config, get_config, in_test_environment
from ..models.place import current_alias, current_place
from ..models.retry import in_transaction
from . import reader
from .entries import FOR_GOOD, SESSION, Entry, Line, as_number
from .isolation import reads_old_snapshot
from .learning import Learning
from .publishing import pending
from .relay import Relay

logger = logging.getLogger("django_jwtsession")

# Seconds for which a request waits for the thread that asks.
PATIENCE = 1.0
# Polls of many processes spread: an interval is a random part of the setting from here up.
_SHORTEST_INTERVAL = 0.85

# A session that moved to a new id at login: an answer to a request that was under way, or began
# within the next seconds, still had the old one and must not undo the login.
MOVED = "moved"
_UNDER_WAY = 5.0
# How long that is remembered: as long as requests may run.
_RECENT = 600.0

# Of two ends, servers' clocks and equal milliseconds aside, the later is later by this (seconds).
STEP = 0.001


class FeedUnavailable(DatabaseError):
    """Nobody can tell any more which sessions were ended: the request fails, as without a row."""


class Feed:
    """What this process knows of one place. `get_feed()` returns it."""

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
        # What this process ended itself, until it reads so: the epoch, and until when that counts.
        self._own: dict[str, tuple[int, float]] = {}
        # What a login moved lately, and when.
        self._moved: dict[str, float] = {}
        self._asked_at = self._next_ask = float("-inf")
        self._outage = self._out_of_patience = False

    # --- what is known ---------------------------------------------------------------------------

    def end_of(self, sid: str) -> float | None:
        """Return the last epoch of a session that has ended: math.inf for good, None for none."""
        epoch = self._learning.memory.epoch_of(sid)
        own = self._own.get(sid)
        if own is not None and (epoch is None or own[0] > epoch):
            epoch = own[0]
        if not self._learning.complete and self.polls():
            asked = [_epoch(line) for line in self._ask_for(sid)]
            epoch = max(asked if epoch is None else [epoch, *asked], default=None)
        return None if epoch is None else as_number(epoch)

    def is_ended(self, sid: str, epoch: float = 0) -> bool:
        """Tell whether this epoch of a session, and all before it, were ended."""
        end = self.end_of(sid)
        return end is not None and epoch <= end

    def revoked(self, sid: str, sub: str | None, auth_time: float | None, epoch: float = 0) -> bool:
        """Tell whether a token is of a session, or of a login, that was ended.

        Arguments: `sub` is the user's pk as text, `auth_time` the Unix time of the login, None
        for an anonymous session; `epoch` the token's.
        """
        end = self.end_of(sid)
        if end is not None and epoch <= end:
            return True
        if sub is None or auth_time is None or not self._learning.knows_users:
            return False
        return any(auth_time < before and sid != keep for keep, before in self._user_ends(sub))

    def ended_before(self, sub: str) -> float:
        """Return up to which `auth_time` the sessions of a user were ended, 0 if they were not.

        What this thread's own open transaction has ended counts: a login that follows is not to
        be ended when it commits.
        """
        ends = [before for _, before in self._user_ends(sub)]
        return max(ends + self._pending_ends(sub), default=0.0)

    def latest_end(self) -> float:
        """Return the latest of what ended_before() says of all users, as far as it is known."""
        return max([self._learning.memory.latest_end(), *self._pending_ends(None)])

    def _pending_ends(self, sub: str | None) -> list[float]:
        return [
            entry.before
            for announcement in pending(current_alias())
            for entry in announcement.entries
            if entry.before is not None and (sub is None or entry.name in (sub, ""))
        ]

    def kept_since(self, sid: str, sub: str) -> float:
        """Return since when `sid` is the only session of its user that was kept, 0 if it is not."""
        return max((before for keep, before in self._user_ends(sub) if keep == sid), default=0.0)

    def moved(self, sid: str, began: float) -> bool:
        """Tell whether a login gave the session a new id while a request was under way.

        Arguments: `began` is when the request began (Unix time), as this process saw it.
        """
        moved_at = self._moved.get(sid)
        return moved_at is not None and began < moved_at + _UNDER_WAY

    def _user_ends(self, sub: str) -> list[tuple[str, float]]:
        """Return what has ended of a user's sessions: which goes on, and from before when."""
        ends = [(keep, end.before) for keep, end in self._learning.memory.user_ends(sub)]
        if not self._learning.complete and self.polls():
            lines = self._ask_for(sub, "")
            ends += [(line.keep_sid, line.before) for line in lines if line.before is not None]
        return ends

    def _ask_for(self, *names: str) -> list[Line]:
        """Return what the table says of some names, while not all of it has been read."""
        lines = reader.lines_named(*names)
        # A sid is no user's pk, nor the other way round.
        return [line for line in lines if (line.kind == SESSION) == (names[-1] != "")]

    def count(self) -> int:
        """Return how many lines of the table are known."""
        return len(self._learning.memory)

    def age(self) -> float:
        """Return how many seconds ago all was known, math.inf for never."""
        return monotonic() - self._asked_at

    def behind(self) -> int:
        """Return how many of the table's lines are newer than what was read; one query."""
        return len(reader.keys_above(self._learning.newest))

    def newest_made_at(self) -> float | None:
        """Return when the newest line that was read was made, by the database's clock."""
        return self._learning.newest_made_at

    def cache_age(self) -> float | None:
        """Return how long ago (seconds) a process asked for all, None for not lately."""
        return self._relay.age()

    @property
    def is_complete(self) -> bool:
        """Whether all lines have been read."""
        return self._learning.complete

    # --- when to ask -----------------------------------------------------------------------------

    def due(self, max_age: float | None = None) -> bool:
        """Tell whether `refresh(max_age)` would ask the database."""
        return self.polls() and self._due(max_age)

    def polls(self) -> bool:
        """Tell whether this process asks at all; not in Django's test environment."""
        return get_config().revocation_poll is not None and not in_test_environment()

    def _due(self, max_age: float | None) -> bool:
        now = monotonic()
        if not self._learning.settled:
            return not (self._outage and now < self._next_ask)
        if max_age is not None and not (self._outage and now < self._next_ask):
            return now - self._asked_at > max_age
        return now >= self._next_ask

    def _is_quiet(self, max_age: float | None) -> bool:
        """Tell that there is nothing to ask and the last answer is young, as most requests find."""
        return (
            max_age is None
            and not self._outage
            and monotonic() < self._next_ask
            and self._learning.settled
        )

    def refresh(self, max_age: float | None = None) -> None:
        """Learn of new entries, if it is time: the last answer is older than the poll's interval.

        Arguments: `max_age` (seconds) asks for an answer not older than that, whatever the
        interval.

        Only one thread asks; the others go on with what is known, and wait, a second at most, only
        where that is older than twice the interval. Of a table with very many lines each call reads
        a part; until all is read a session is looked up by a query.

        Raises DatabaseError where the database is out of reach for longer than STALE_IF_ERROR.
        """
        config = get_config()
        if config.revocation_poll is None or self._is_quiet(max_age) or in_test_environment():
            return
        if self._due(max_age):
            self._ask_once(max_age)
        self._check_age(config)

    async def arefresh(self, max_age: float | None = None) -> None:
        """See refresh(); the event loop goes on meanwhile, and all is read where it was not yet."""
        config = get_config()
        if config.revocation_poll is None or self._is_quiet(max_age) or in_test_environment():
            return
        until = monotonic() + PATIENCE
        while self._due(max_age):
            if not self._lock.locked():
                await sync_to_async(self._ask_once)(max_age)
            elif self._learning.complete and not self._must_wait(max_age):
                break
            else:
                await asyncio.sleep(0.005)
            if self._outage or (self._learning.complete and monotonic() > until):
                break
            if self._learning.loading and self._learning.complete:
                break  # all is read again, a part a request
        self._check_age(config)

    def load(self) -> None:
        """Read all that is in force, now; call it before a process serves (see docs/scale.md).

        In wsgi.py it is done once for all workers of `gunicorn --preload`, in a post_fork hook or
        an ASGI server's start-up once for each process. A connection that it opens it closes, so
        that none is shared by a fork.

        Raises DatabaseError where the table cannot be read.
        """
        connection = connections[current_alias()]
        was_open = connection.connection is not None
        try:
            with self._lock:
                started = monotonic()
                while not self._learning.settled:
                    started = monotonic()
                    if not self._learning.read_page(started, self._relay if _cache() else None):
                        time.sleep(0.1)  # another process makes a copy for all
                self._answered(started)
        finally:
            if not was_open and not connection.in_atomic_block:
                connection.close()

    # --- asking ----------------------------------------------------------------------------------

    def _must_wait(self, max_age: float | None) -> bool:
        # While the database is out of reach, or does not answer at all, nobody queues up for it.
        if self._outage or self._out_of_patience or not self._learning.complete:
            return False
        return max_age is not None or self.age() > (4 if _cache() else 2) * _interval()

    def _ask_once(self, max_age: float | None) -> None:
        connection: Any = connections[current_alias()]
        if connection.needs_rollback:  # a broken transaction is no outage, and no answer
            return
        if not self._lock.acquire(blocking=False):
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
        started = monotonic()
        using = current_alias()
        try:
            if current_place() != self.place:  # an event loop's thread has another connection
                raise FeedUnavailable("The feed of another place was asked for.")
            counts = not reads_old_snapshot(using)
            known_at = self._read(started, counts, max_age)
        except Error as error:
            if in_transaction(using) and not isinstance(error, OperationalError | InterfaceError):
                return  # of a transaction that is broken, not of a database out of reach
            self.report_outage()
            self._next_ask = monotonic() + _interval()
            return
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
                _interval(),
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
            if relay is not None:
                relay.keep(found)
            new += found
            self._forget_old()
        for line in new:
            if line.kind == SESSION:
                self._note(line.name, line.reason)
                self._forget_own(line)
        return known_at

    def _answered(self, known_at: float | None) -> None:
        """Note since when everything is known (by the process's own clock), and ask again later."""
        now, interval = monotonic(), _interval() * random.uniform(_SHORTEST_INTERVAL, 1)  # noqa: S311
        if known_at is None:  # another process is asking for all
            self._next_ask = now + interval / 4
            return
        self._asked_at = max(known_at, self._asked_at)
        # Not earlier: until then asking is due, and who cannot go on without it waits for it.
        self._next_ask = (now if _cache() else self._asked_at) + interval
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

    # --- learning --------------------------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """Remember what this process has ended itself, before it reads so."""
        if entry.kind != SESSION:
            values = (entry.epoch, entry.before, entry.keep_sid, entry.reason, entry.expires_at)
            self._learning.memory.put([Line(0, entry.kind, entry.name, *values, 0.0)])
            return
        epoch = FOR_GOOD if entry.epoch is None else entry.epoch
        with self._changing:
            known = self._own.get(entry.name, (epoch, 0.0))
            self._own[entry.name] = max(epoch, known[0]), max(entry.expires_at, known[1])
        self._note(entry.name, entry.reason)

    def _note(self, name: str, reason: str) -> None:
        if reason == MOVED:
            self._moved[name] = time.time()

    def _forget_own(self, line: Line) -> None:
        """An end of this process's own has been read: now the memory knows it."""
        with self._changing:
            own = self._own.get(line.name)
            if own is not None and own[0] <= _epoch(line):
                del self._own[line.name]

    def _forget_old(self) -> None:
        at = time.time()
        with self._changing:
            self._own = {sid: own for sid, own in self._own.items() if own[1] > at}
            self._moved = {sid: t for sid, t in self._moved.items() if t + _RECENT > at}


def _epoch(line: Line) -> int:
    return FOR_GOOD if line.epoch is None else line.epoch


def pending_keys() -> set[int]:
    """Return the keys that this thread's transaction sees and nobody else."""
    return {pk for announcement in pending(current_alias()) for pk in announcement.pks}


def _is_owed(using: str, connection: Any) -> bool:
    """Tell whether this thread has a connection that others may be waiting for."""
    if connection.connection is None:
        return False
    return in_transaction(using) or bool(connection.settings_dict["OPTIONS"].get("pool"))


def _cache() -> str | None:
    return get_config().revocation_cache


def _interval() -> float:
    return get_config().revocation_poll or 0.0


_feeds: dict[str, Feed] = {}


def get_feed() -> Feed:
    """Return the feed of the place where this thread's sessions live."""
    place = current_place()
    feed = _feeds.get(place)
    # setdefault() is atomic: two threads get the same one.
    return _feeds.setdefault(place, Feed(place)) if feed is None else feed


def load() -> None:
    """Read the feed of this place, now: see Feed.load()."""
    get_feed().load()


def refresh_before_transaction() -> None:
    """Ask now where the request is about to run in a transaction (ATOMIC_REQUESTS).

    Inside, what others have ended since it began may not be seen. What fails here fails again where
    the session is read, if it is.
    """
    if _has_atomic_requests():
        with suppress(Error):
            get_feed().refresh()


async def arefresh_before_transaction() -> None:
    """See refresh_before_transaction()."""
    if _has_atomic_requests():
        with suppress(Error):
            await get_feed().arefresh()


def _has_atomic_requests() -> bool:
    return bool(connections.settings[current_alias()]["ATOMIC_REQUESTS"])


def forget() -> None:
    """Be a process that has just begun: for tests."""
    _feeds.clear()


def _unlock() -> None:
    for feed in list(_feeds.values()):
        feed.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
