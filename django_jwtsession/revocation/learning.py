"""How the lines of the table get into memory: all at first, then what is new, and what was missed.

Each call asks the database and is made by one thread at a time, or by several: what both find is
taken once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import Error

from ..models.registry import revocation_model
from ..models.retry import is_undone
from ..models.savepoints import savepoint
from . import reader
from .entries import Line
from .marks import LONG_LOOK_BACK, LOOK_BACK, Marks, RecentLines
from .memory import Memory
from .mending import end_again
from .relay import Copy, Relay

logger = logging.getLogger("django_jwtsession")

_LONG_LOOK_EVERY = 60.0
# Lines whose age by the database's clock is looked at when all are read.
_NEWEST = 10_000
# What ends within so many seconds may have been cleared by a server whose clock is ahead.
_COUNTED_FROM = 300
_LOAD_AGAIN_AFTER = 900.0
# Seconds to wait for the copy that another process is making.
_WAIT_FOR_COPY = 10.0
# Expired lines go a part at a time.
_PARTS = 15


class _Load:
    """All lines on their way into a new memory: those up to a key in pages, the newest at last."""

    def __init__(self, newest: list[reader.Key], started: float) -> None:
        self.memory = Memory()
        self.marks = Marks()
        self.marks.begin(started, newest)
        self.last = self.number = 0
        self.up_to = self.marks.since(started, LONG_LOOK_BACK)
        self.is_large = len(newest) == _NEWEST
        self.began_at = started
        # Pages are read from a copy in the cache, or put into one: REVOCATION_CACHE.
        self.copy: Copy | None = None
        self.makes: str | None = None


class Learning:
    """The memory of one place, and where its reading has come to."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.complete = False
        self.settled = False  # complete, and not about to be read again
        self.next_long_look = 0.0
        self._load: _Load | None = None
        self._marks = Marks()
        self._recent = RecentLines()
        self._changing = threading.Lock()
        self.newest_made_at: float | None = None
        self._own_look_at = float("-inf")
        self._part = 0
        self._no_load_before = float("-inf")

    def unlock(self) -> None:
        """Make new locks, after a fork."""
        self._changing = threading.Lock()
        self.memory.unlock()

    @property
    def loading(self) -> bool:
        """Whether all is being read again, beside what is known."""
        return self._load is not None

    @property
    def newest(self) -> int:
        """The newest key that was read, 0 for none."""
        return self._marks.newest

    # --- all of it -------------------------------------------------------------------------------

    def read_page(self, started: float, relay: Relay | None = None) -> bool:
        """Read the next lines of all; the last of them completes the memory.

        Returns False where nothing was read: another process is making a copy for all.
        """
        load = self._load
        if load is None:
            load = self._load = _Load(reader.newest_keys(_NEWEST), started)
        if load.last < load.up_to:
            if relay is not None and load.is_large:
                if not self._is_source_known(load, relay, started):
                    return False
                if load.copy is not None:
                    return self._read_copied(load, relay, started)
            page = reader.page_between(load.last, load.up_to)
            self._fill(load, page.sessions, page.others)
            load.last = page.last
            if relay is not None and load.makes is not None:
                relay.put_page(load.makes, load.number, page.sessions, page.others)
            load.number += 1
            if load.last >= load.up_to and relay is not None and load.makes is not None:
                relay.put_copy(Copy(load.makes, load.number, load.up_to))
        if load.last >= load.up_to:
            self._finish(load, started)
        return True

    def _fill(self, load: _Load, sessions: list[Any], others: list[Line]) -> None:
        load.memory.append(sessions)
        load.memory.put(others)

    def _is_source_known(self, load: _Load, relay: Relay, started: float) -> bool:
        """Find out whether to read the copy, or to make it; False while another makes it."""
        if load.copy is None and load.makes is None and load.last == 0:
            load.copy = relay.copy()
            if load.copy is None and relay.is_turn_of_copy():
                load.makes = uuid4().hex
            if not load.copy and not load.makes and not relay.rests():
                return started > load.began_at + _WAIT_FOR_COPY
        return True

    def _read_copied(self, load: _Load, relay: Relay, started: float) -> bool:
        assert load.copy is not None
        page = relay.page(load.copy, load.number)
        if page is None:  # gone meanwhile: the database has it all
            self._load = _Load(reader.newest_keys(_NEWEST), started)
            self._load.is_large = False
            return True
        self._fill(load, *page)
        load.number += 1
        if load.number >= load.copy.pages:
            load.last = load.up_to = load.copy.up_to
            self._finish(load, started)
        return True

    def _finish(self, load: _Load, started: float) -> None:
        # These a poll would find: they are known by their keys from now on.
        lines = reader.lines_above(load.up_to)
        load.memory.put(lines)
        recent = RecentLines()
        recent.add(started, lines, load.up_to)
        load.marks.note(started, max((line.pk for line in lines), default=0))
        with self._changing:
            self.memory, self._marks, self._recent = load.memory, load.marks, recent
            self.newest_made_at = max((line.created_at for line in lines), default=None)
            self.complete = self.settled = True
            self._load = None
        self.next_long_look = started + _LONG_LOOK_EVERY
        self._own_look_at = started + LONG_LOOK_BACK

    # --- what is new -----------------------------------------------------------------------------

    def look(self, started: float, pending: set[int]) -> list[Line]:
        """Take what others have added within the last seconds; return it.

        Arguments: `pending` are keys of a transaction that may be undone yet.
        """
        with self._changing:
            since = self._marks.since(started, LOOK_BACK)
        return self._take(started, reader.keys_above(since), since, pending)

    def is_long_look_due(self, started: float, relay: Relay | None) -> bool:
        """Tell whether to look back now: once a minute, through a cache one process for all.

        Each looks for itself every 15 minutes all the same: it may be the one that missed a line.
        """
        if started < self.next_long_look:
            return False
        if relay is None or started >= self._own_look_at or relay.is_turn_of_long_look():
            self._own_look_at = started + LONG_LOOK_BACK * random.uniform(0.8, 1)  # noqa: S311
            return True
        self.next_long_look = started + _LONG_LOOK_EVERY
        return False

    def look_back(self, started: float, pending: set[int]) -> list[Line]:
        """Once a minute: take what became visible late, write what was lost, count the lines."""
        self.next_long_look = started + _LONG_LOOK_EVERY
        with self._changing:
            since, newest = self._marks.since(started, LONG_LOOK_BACK), self._marks.newest
        found = reader.keys_above(since)
        lines = self._take(started, found, since, pending)
        with self._changing:
            lost = self._recent.missing(since, found)
        self._write_lost(lost)
        went_back = max((pk for pk, _ in found), default=0) < newest
        if started >= self._no_load_before and (went_back or self._differs(pending)):
            logger.warning("The table of ended sessions is not what was read: it is read again.")
            self._no_load_before = started + _LOAD_AGAIN_AFTER
            self._load, self.settled = _Load(reader.newest_keys(_NEWEST), started), False
        self.memory.forget_before(time.time(), self._part, _PARTS)
        self._part = (self._part + 1) % _PARTS
        return lines

    def _take(
        self, started: float, found: set[reader.Key], since: int, pending: set[int]
    ) -> list[Line]:
        with self._changing:
            new = found - self._recent.keys_above(since)
        pks = sorted(pk for pk, _ in new if pk not in pending)
        return self.take(started, reader.lines_of(pks) if pks else [])

    def take(self, started: float, lines: list[Line]) -> list[Line]:
        """Take lines as far as they are not known; return those."""
        with self._changing:
            # Another thread may have asked as well.
            since = min((line.pk - 1 for line in lines), default=self._marks.newest)
            known = self._recent.keys_above(since)
            lines = [line for line in lines if (line.pk, line.created_at) not in known]
            self._recent.add(started, lines, self._marks.since(started, LONG_LOOK_BACK))
            self.memory.put(lines)
            # Not before all were read: a poll that breaks off is to begin where it began.
            self._marks.note(started, max((line.pk for line in lines), default=0))
        return lines

    def _write_lost(self, lost: list[Line]) -> None:
        """Write lines again that were read and are gone: a standby took over without them."""
        soon = time.time() + _COUNTED_FROM / 5
        lost = [
            line for line in lost if line.expires_at > soon and not self.memory.is_superseded(line)
        ]
        if lost:
            logger.warning("The database has lost %d ends of sessions: written again.", len(lost))
            _try(partial(end_again, lost))

    def _differs(self, pending: set[int]) -> bool:
        """Tell whether the table has other lines than were read, by their number."""
        moment = int(time.time()) + _COUNTED_FROM
        sessions, others = reader.counts_after(moment, self._marks.newest, pending)
        if others != self.memory.users_after(moment) and self.memory.superseded:
            _try(partial(reader.delete, self.memory.superseded))
            self.memory.superseded.clear()
            sessions, others = reader.counts_after(moment, self._marks.newest, pending)
        known = self.memory.sessions_after(moment), self.memory.users_after(moment)
        return (sessions, others) != known


def _try(write: Callable[[], None]) -> None:
    """Call `write`; a database that takes no writes can be read all the same."""
    using = revocation_model().objects.db
    try:
        with savepoint(using):
            write()
    except Error as error:
        if is_undone(error, using):
            raise
        logger.warning(
            "The feed could not be mended; in a minute it is tried again.", exc_info=True
        )
