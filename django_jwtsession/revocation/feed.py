"""The revocation feed: what this process knows of sessions that were ended (DESIGN 2.5).

Stateless tokens need an answer to "is it revoked?" without a query each. Every process keeps the
unexpired entries of the table Revocation in memory and asks for new ones at most once a second, in
the request that finds it due.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from django.db import DatabaseError, router

from ..conf import Config, get_config
from ..models.clearing import in_test_environment
from .reader import Line, Moment, read_lines, read_moments, to_stored

logger = logging.getLogger("django_jwtsession")

# An entry becomes visible when its transaction commits, which may be later than its created_at.
_LOOK_BACK = timedelta(seconds=10)
_LONG_LOOK_BACK = timedelta(minutes=15)
_LONG_LOOK_BACK_EVERY = 60.0
_BATCH = 10_000
# SQLite takes no more than 999 parameters where it is old.
_MOST_IDS = 500

# In the place of a user's pk: the sessions of all users.
EVERYONE = "*"

# A session that moved to a new id at login: for a minute, an answer to a request that still had the
# old one must not undo the login.
MOVED = "moved"
_RECENT = 60.0


class FeedUnavailable(DatabaseError):
    """Nobody can tell any more which sessions were ended: the request fails, as without a row."""


class UserEntry(NamedTuple):
    """All sessions of a user with an `auth_time` before `before`, except `keep_sid`."""

    before: float
    keep_sid: str


class Feed:
    """The entries that this process knows. One instance a process: `feed`."""

    def __init__(self) -> None:
        self.unlock()
        self.clear()

    def unlock(self) -> None:
        """Make new locks: after a fork, one that another thread held would never be released."""
        self._lock = threading.Lock()  # held while the database is asked
        self._memory = threading.Lock()  # held while the entries change

    def clear(self) -> None:
        """Forget everything; the next question loads it anew."""
        self._sessions: dict[str, float] = {}
        self._users: dict[str, dict[UserEntry, float]] = {}
        # What ended in the last minute: until when that counts, and whether by moving.
        self._recent: dict[str, tuple[float, bool]] = {}
        self._watermark: datetime | None = None
        # The entries that were read, as far as the polls look back.
        self._known: set[tuple[int, Moment]] = set()
        self._asked_at = self._next_ask = self._next_long_look = self._next_purge = float("-inf")
        self._outage = False

    # --- asking ----------------------------------------------------------------------------------

    def revoked(self, sid: str, sub: str | None, auth_time: float | None) -> bool:
        """Tell whether a token with these claims is of a session that was ended."""
        if sid in self._sessions:
            return True
        users = self._users
        if not users or sub is None or auth_time is None:
            return False
        return any(
            auth_time < entry.before and sid != entry.keep_sid
            for name in (sub, EVERYONE)
            for entry in users.get(name, ())
        )

    def kept_since(self, sid: str, sub: str) -> float:
        """Return since when `sid` is the only session of its user that was kept, 0 if it is not."""
        entries = self._users.get(sub, {})
        return max((entry.before for entry in entries if entry.keep_sid == sid), default=0.0)

    def ended_before(self, sub: str) -> float:
        """Return up to which `auth_time` the sessions of a user were ended, 0 if they were not."""
        ends = (entry.before for name in (sub, EVERYONE) for entry in self._users.get(name, ()))
        return max(ends, default=0.0)

    def ended(self, sid: str) -> bool:
        """Tell whether this very session was ended: for good, no id is used twice."""
        return sid in self._sessions

    def moved_or_ended(self, sid: str) -> bool | None:
        """Tell whether the session got a new id, by a login, or was ended otherwise.

        None for what did not end within the last minute, as far as that is known.
        """
        recent = self._recent.get(sid)
        return recent[1] if recent is not None and time.time() < recent[0] else None

    def moved(self, sid: str) -> bool:
        """Tell whether the session got a new id within the last minute, by a login."""
        return self.moved_or_ended(sid) is True

    def due(self, max_age: float | None = None) -> bool:
        """Tell whether `refresh(max_age)` would ask the database."""
        poll = get_config().revocation_poll
        return poll is not None and not in_test_environment() and self._due(poll, max_age)

    def _due(self, poll: float, max_age: float | None) -> bool:
        now = time.time()
        if max_age is not None and not (self._outage and now < self._next_ask):
            return now - self._asked_at > max_age
        # A clock that was set back must not silence the feed.
        return not self._next_ask - poll <= now < self._next_ask

    def refresh(self, max_age: float | None = None) -> None:
        """Learn of new entries, if it is time: the last answer is older than the poll's interval.

        Arguments: `max_age` (seconds) asks for an answer not older than that, whatever the
        interval.

        Only one thread asks; the others go on with what is known, and wait only where that is
        older than twice the interval.

        Raises DatabaseError where the database is out of reach for longer than STALE_IF_ERROR.
        """
        config = get_config()
        poll = config.revocation_poll
        if poll is None or self._is_quiet(poll, max_age) or in_test_environment():
            return
        if self._due(poll, max_age):
            self._ask_once(max_age)
        self._check_age(config)

    async def arefresh(self, max_age: float | None = None) -> None:
        """See refresh(); the event loop goes on meanwhile."""
        config = get_config()
        poll = config.revocation_poll
        if poll is None or self._is_quiet(poll, max_age) or in_test_environment():
            return
        if self._due(poll, max_age):
            await sync_to_async(self._ask_once)(max_age)
        self._check_age(config)

    def _is_quiet(self, poll: float, max_age: float | None) -> bool:
        """Tell that there is nothing to ask and the last answer is young, as most requests find."""
        return max_age is None and not self._outage and 0 < self._next_ask - time.time() <= poll

    def _ask_once(self, max_age: float | None) -> None:
        # While the database is out of reach nobody queues up for it.
        must_wait = not self._outage and (max_age is not None or self._age() > 2 * _interval())
        if not self._lock.acquire(blocking=must_wait):
            return
        try:
            if self.due(max_age):  # nobody did it while this thread waited
                self._ask()
        finally:
            self._lock.release()

    def _age(self) -> float:
        return time.time() - self._asked_at

    def _check_age(self, config: Config) -> None:
        """Raise where the last answer is too old to be trusted: never a silent pass."""
        if self._age() > (config.revocation_poll or 0.0) + config.stale_if_error:
            never = "" if self._asked_at > 0 else " Run `manage.py migrate` if it has no table."
            raise FeedUnavailable(
                f"The revocation feed could not be read for longer than STALE_IF_ERROR.{never}"
            )

    # --- learning --------------------------------------------------------------------------------

    def add(
        self,
        subject: str,
        end: float,
        *,
        before: float | None = None,
        keep_sid: str = "",
        ended_at: float = 0.0,
        moved: bool = False,
    ) -> None:
        """Remember an entry; `subject` is ``s:<sid>`` or ``u:<pk>``, times are Unix times."""
        kind, _, name = subject.partition(":")
        with self._memory:
            if kind == "s":
                self._sessions[name] = max(end, self._sessions.get(name, 0.0))
                if ended_at + _RECENT > time.time():
                    self._recent[name] = ended_at + _RECENT, moved
            elif before is not None:
                # Copy on write: another thread may be looking at the old dictionary.
                entry = UserEntry(before, keep_sid)
                self._users[name] = {**self._users.get(name, {}), entry: end}

    def _ask(self) -> None:
        started = time.time()
        try:
            asked_at = self._read(started)
        except DatabaseError:
            self.report_outage()
            self._next_ask = time.time() + _interval()
            return
        self._asked_at = asked_at
        # Not earlier: until then asking is due, and who cannot go on without it waits for it.
        self._next_ask = asked_at + _interval()
        if self._outage:
            logger.warning("The database can be read again.")
        self._outage = False

    def report_outage(self) -> None:
        """Log the exception that is being handled, once an outage."""
        with self._memory:  # requests find it out at the same time
            is_known, self._outage = self._outage, True
        if not is_known:
            logger.exception(
                "The database is out of reach; sessions go on with what is known for"
                " STALE_IF_ERROR."
            )

    def _read(self, started: float) -> float:
        """Learn what is new; return when the database was asked last."""
        from ..models.tables import Revocation

        entries = Revocation.objects.using(router.db_for_write(Revocation))
        if self._watermark is None:
            # With no entry at all the next poll reads from the beginning again: empty as well.
            asked_at = self._load_all(entries.in_force().order_by("pk"))
            self._next_long_look = started + _LONG_LOOK_BACK_EVERY
            return asked_at
        long_look = started >= self._next_long_look
        since = self._watermark - (_LONG_LOOK_BACK if long_look else _LOOK_BACK)
        # Nearly all that a look back finds is known already.
        found = read_moments(entries.filter(created_at__gte=since))
        new = [pk for pk, _ in found - self._known]
        for start in range(0, len(new), _MOST_IDS):
            self._take(read_lines(entries.filter(pk__in=new[start : start + _MOST_IDS])))
        # Not before all were read: a poll that breaks off is to begin where it began.
        if long_look:
            self._known = found
        else:
            self._known |= found
        if found:
            newest = max(moment for _, moment in found)
            self._watermark = max(self._watermark, to_stored(newest))
        if long_look:
            self._next_long_look = started + _LONG_LOOK_BACK_EVERY
            self._purge()
        return started

    def _load_all(self, entries: Any) -> float:
        """Load all that is in force, in batches: at start-up there may be many.

        Returns when the last batch was asked for: the first may have been long before.
        """
        last, newest = 0, []
        known: set[tuple[int, Moment]] = set()
        recent = time.time() - _LONG_LOOK_BACK.total_seconds()
        while True:
            asked_at = time.time()
            lines = read_lines(entries.filter(pk__gt=last)[:_BATCH])
            self._take(lines)
            known.update((line.pk, line.moment) for line in lines if line.created_at >= recent)
            newest += [max(line.moment for line in lines)] if lines else []
            if len(lines) < _BATCH:
                break
            last = lines[-1].pk
        self._known = known
        if newest:
            self._watermark = to_stored(max(newest))
        return asked_at

    def _take(self, lines: list[Line]) -> None:
        long_ago = time.time() - _RECENT
        sessions = []
        for line in lines:
            if line.created_at < long_ago and line.subject.startswith("s:"):
                sessions.append((line.subject[2:], line.expires_at))
            else:
                self.add(
                    line.subject,
                    line.expires_at,
                    before=line.before,
                    keep_sid=line.keep_sid,
                    ended_at=line.created_at,
                    moved=line.reason == MOVED,
                )
        with self._memory:
            known = self._sessions
            for sid, end in sessions:
                if end > known.get(sid, 0.0):
                    known[sid] = end

    def _purge(self) -> None:
        """Forget what no living token can need, at most every quarter of an hour."""
        at = time.time()
        if at < self._next_purge:
            return
        self._next_purge = at + 900.0
        with self._memory:
            self._purge_sessions(at)
            self._recent = {sid: value for sid, value in self._recent.items() if value[0] > at}
            living = {
                pk: {entry: end for entry, end in entries.items() if end > at}
                for pk, entries in self._users.items()
            }
            self._users = {pk: entries for pk, entries in living.items() if entries}

    def _purge_sessions(self, at: float) -> None:
        """Take out what is over; where that is most, make a new dictionary: one never shrinks."""
        over = [sid for sid, end in self._sessions.items() if end <= at]
        if len(over) > len(self._sessions) // 2:
            self._sessions = {sid: end for sid, end in self._sessions.items() if end > at}
            return
        for sid in over:
            del self._sessions[sid]


def _interval() -> float:
    return get_config().revocation_poll or 0.0


feed = Feed()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=feed.unlock)
