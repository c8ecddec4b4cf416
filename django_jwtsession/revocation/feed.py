"""The revocation feed: what this process knows of sessions that were ended (DESIGN 2.5).

Stateless tokens need an answer to "is it revoked?" without a query each. Every process keeps the
unexpired lines of the table Revocation in memory and asks for new ones at most once a second, in
the request that finds it due. How it asks is in learning.py.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from time import monotonic

from asgiref.sync import sync_to_async
from django.core.signals import setting_changed
from django.db import Error

from ..conf import get_config, in_test_environment
from ..models.place import current_alias, current_place, has_one_place
from . import reader
from .announcements import pending
from .asking import PATIENCE, RECENT, Asking, FeedUnavailable, NewEpoch, epoch_of_line
from .entries import FOR_GOOD, SESSION, Entry, Line, as_number

__all__ = ["RECENT", "STEP", "Feed", "FeedUnavailable", "NewEpoch", "forget", "get_feed", "load"]

# Of two ends, servers' clocks and equal milliseconds aside, the later is later by this (seconds).
STEP = 0.001


class Feed(Asking):
    """What this process knows of one place. `get_feed()` returns it."""

    # --- what is known ---------------------------------------------------------------------------

    def end_of(self, sid: str) -> float | None:
        """Return the last epoch of a session that has ended: math.inf for good, None for none."""
        epoch = self._learning.memory.epoch_of(sid)
        own = self._own.get(sid)
        if own is not None and (epoch is None or own[0] > epoch):
            epoch = own[0]
        if self.looks_up():
            asked = [epoch_of_line(line) for line in self._ask_for(sid)]
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
        if sub is None or auth_time is None:
            return False
        memory, is_complete = self._learning.memory, self._learning.complete
        if is_complete and not memory.users and not memory.everyone:  # as nearly always
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

    def new_epoch_of(self, sid: str) -> NewEpoch | None:
        """Return how the session's newest epoch began, None where none began a moment ago.

        Requests that bring the epoch before may still read then: see rotation.judge_earlier().
        """
        begun = self._begun.get(sid)
        return None if begun is None or time.time() >= begun[1] + RECENT else begun[0]

    def is_last_but_one(self, sid: str, epoch: int) -> bool:
        """Tell whether a session's last end, and none before that, has ended an epoch."""
        last, own = self.end_of(sid), self._own.get(sid)
        ends = [*self._learning.memory.epochs_of(sid), -1 if own is None else own[2]]
        return last is not None and max(end for end in ends if end != last) < epoch <= last

    def epoch_after(self, sid: str) -> int | None:
        """Return the epoch with which a session goes on after its last end; None for none.

        Known for some seconds after the epoch has begun.
        """
        begun, end = self._begun.get(sid), self.end_of(sid)
        return begun[2] if begun is not None and begun[2] - 1 == end else None

    def known_until(self, sid: str) -> float:
        """Return until when (Unix time) tokens of a session can live, as far as its lines say."""
        own = self._own.get(sid)
        ends = [self._learning.memory.end_of_lines(sid), 0.0 if own is None else own[1]]
        if self.looks_up():
            ends += [line.expires_at for line in self._ask_for(sid)]
        return max(ends)

    def _user_ends(self, sub: str) -> list[tuple[str, float]]:
        """Return what has ended of a user's sessions: which goes on, and from before when."""
        ends = [(keep, end.before) for keep, end in self._learning.memory.user_ends(sub)]
        if self.looks_up():
            lines = self._ask_for(sub, "")
            ends += [(line.keep_sid, line.before) for line in lines if line.before is not None]
        return ends

    def looks_up(self) -> bool:
        """Tell whether what is asked takes a query, since not all lines have been read yet."""
        return not self._learning.complete and self.polls()

    def _ask_for(self, *names: str) -> list[Line]:
        """Return what the table says of some names, while not all of it has been read."""
        lines = reader.lines_named(*names)
        # A sid is no user's pk, nor the other way round.
        return [line for line in lines if (line.kind == SESSION) == (names[-1] != "")]

    def count(self) -> int:
        """Return how many lines of the table are known."""
        return len(self._learning.memory)

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

    def wait(self) -> float:
        """Return the seconds until it is due; a second where this process does not ask."""
        return max(0.0, self._next_ask - monotonic()) if self.polls() else 1.0

    def is_quiet(self) -> bool:
        """Tell that refresh() would do nothing: the last answer is young, as most requests find."""
        if not self._outage and monotonic() < self._next_ask and self._learning.settled:
            return True
        return not self.polls()

    def is_out_of_reach(self) -> bool:
        """Tell whether the database fails who asks, or has let one wait longer than PATIENCE."""
        since = self._asking_since
        if self._out_of_patience or (since is not None and monotonic() > since + PATIENCE):
            return True
        return self._outage and self.polls()

    def refresh(self, max_age: float | None = None) -> None:
        """Learn of new entries, if it is time: the last answer is older than the poll's interval.

        Arguments: `max_age` (seconds) asks for an answer not older than that, whatever the
        interval.

        Only one thread asks; the others go on with what is known, and wait, a second at most, only
        where that is older than twice the interval. Of a table with very many lines each call reads
        a part; until all is read a session is looked up by a query.

        Raises DatabaseError where the database is out of reach for longer than STALE_IF_ERROR.
        """
        if not self.polls() or (max_age is None and self.is_quiet()):
            return
        if self._due(max_age):
            self._ask_once(max_age)
        self._check_age(get_config())

    async def arefresh(self, max_age: float | None = None) -> None:
        """See refresh(); the event loop goes on meanwhile, and all is read where it was not yet."""
        if not self.polls() or (max_age is None and self.is_quiet()):
            return
        until = monotonic() + PATIENCE
        while self._due(max_age):
            if not self._lock.locked() or self._relay.hangs(PATIENCE):
                await sync_to_async(self._ask_once)(max_age)
            elif self._learning.complete and not self._must_wait(max_age):
                break
            else:
                await asyncio.sleep(0.005)
                if self._learning.complete and monotonic() > until:
                    self._out_of_patience = True
            if self._outage or (self._learning.complete and monotonic() > until):
                break
            if self._learning.loading and self._learning.complete:
                break  # all is read again, a part a request
        self._check_age(get_config())

    # --- learning --------------------------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """Remember what this process has ended itself, before it reads so."""
        if entry.kind != SESSION:
            values = (entry.epoch, entry.before, entry.keep_sid, entry.reason, entry.expires_at)
            self._learning.memory.put([Line(0, entry.kind, entry.name, *values, 0.0)])
            return
        epoch = FOR_GOOD if entry.epoch is None else entry.epoch
        with self._changing:
            last, end, before = self._own.get(entry.name, (epoch, 0.0, -1))
            if epoch != last:  # whatever came first
                before = max(before, min(epoch, last))
            self._own[entry.name] = max(epoch, last), max(entry.expires_at, end), before
        self._note(entry.name, entry.reason, epoch + 1)


_feeds: dict[str, Feed] = {}
# The feed of a site that has one place, as most have.
_only: Feed | None = None


def get_feed() -> Feed:
    """Return the feed of the place where this thread's sessions live."""
    return _only or _find()


def _find() -> Feed:
    global _only
    place = current_place()
    # setdefault() is atomic: two threads get the same one.
    feed = _feeds.get(place) or _feeds.setdefault(place, Feed(place))
    if has_one_place():
        _only = feed
    return feed


def load() -> None:
    """Read the feed of this place, now: see Feed.load()."""
    get_feed().load()


def refresh_before_transaction() -> None:
    """Ask before the request runs in a transaction, in which what others end may not be seen.

    What fails here fails again where the session is read, if it is.
    """
    with suppress(Error):
        get_feed().refresh()


async def arefresh_before_transaction() -> None:
    """See refresh_before_transaction()."""
    with suppress(Error):
        await get_feed().arefresh()


def forget() -> None:
    """Be a process that has just begun: for tests."""
    _feeds.clear()
    _look_again()


def _look_again(**kwargs: object) -> None:
    """Find out anew where sessions live: DATABASE_ROUTERS may have changed."""
    global _only
    _only = None


setting_changed.connect(_look_again, dispatch_uid="django_jwtsession.feed")


def _unlock() -> None:
    for feed in list(_feeds.values()):
        feed.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
