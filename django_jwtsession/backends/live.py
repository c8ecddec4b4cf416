"""What is connected for long, and ends with its session: streams and sockets.

One task an event loop, with one thread and one connection, asks for all of them: the feed once a
second, and now and then for rows and users, a thousand at a time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.db import DatabaseError, InterfaceError, connections

from ..exceptions import SessionEnded
from ..models.place import be_in
from ..revocation.feed import Feed, FeedUnavailable
from .knowledge import Ended, Identity
from .people import not_let_in

# Seconds between two looks at what the feed does not tell: rows and users that were changed by SQL.
LOOK_EVERY = 30.0
# Seconds until a user who is not let in is looked at once more.
_DOUBT = 1.0
# Seconds between two looks at what is in memory, at most; at least where the feed is due.
_LONGEST_PAUSE, _SHORTEST_PAUSE = 1.0, 0.05
# Rows and users are asked for so many at a time.
_MOST_IDS = 1000

OnEnd = Callable[[Exception], None]


@dataclass(eq=False, slots=True)
class Watched:
    """A session that something lives with, as far as it is known; times are Unix times.

    It follows the session from epoch to epoch; the session object stays as its request had it.
    """

    store: Any
    on_end: OnEnd = field(repr=False)
    who: Identity
    absolute_age: float
    expires_at: float
    backend: str
    # None where the session has begun an epoch that nobody has read: what is there now counts.
    auth_hash: str | None = field(repr=False)
    next_look: float = 0.0
    # The last look found a user who is not let in: a view that sets a password and then tells the
    # session may have been half way.
    is_doubted: bool = False

    @property
    def feed(self) -> Feed:
        feed: Feed = self.store._feed
        return feed

    def is_past_absolute_end(self, now: float) -> bool:
        at = self.who.auth_time
        return at is not None and now >= at + self.absolute_age

    def follow(self, who: Identity, data: dict[str, Any] | None) -> None:
        """Go on with a later epoch; `data` is what the session holds in it, None for unknown."""
        self.who = who
        self.auth_hash = None if data is None else str(data.get(HASH_SESSION_KEY, ""))
        if data is not None:
            self.backend = str(data.get(BACKEND_SESSION_KEY, ""))


class Verdict(Enum):
    """What memory says of a session."""

    GOES_ON = "it goes on"
    OVER = "it is over"
    LOOK = "only its row, or its user, tells"


def judge(one: Watched, now: float) -> Verdict:
    """Judge a session by what this process has in memory; no query."""
    feed, who = one.feed, one.who
    if one.is_past_absolute_end(now) or one.store.is_locked():
        return Verdict.OVER
    if feed.revoked(who.sid, who.user, who.auth_time, math.inf):
        return Verdict.OVER
    has_row = one.store.has_rows
    if feed.is_ended(who.sid, who.epoch) and not has_row:
        epoch = feed.epoch_after(who.sid)
        if epoch is None:
            return Verdict.OVER
        one.follow(who.but(epoch=epoch), None)
        return Verdict.GOES_ON
    if feed.is_ended(who.sid, who.epoch):
        return Verdict.LOOK
    if 0 < one.expires_at <= now:
        return Verdict.LOOK if has_row else Verdict.OVER
    return Verdict.LOOK if now >= one.next_look else Verdict.GOES_ON


def look(due: list[Watched], now: float) -> list[Watched]:
    """Return which of these, all of one place, are over; two queries for a thousand of them.

    Raises DatabaseError or InterfaceError where the database is out of reach.
    """
    be_in(due[0].feed.place)
    over: list[Watched] = []
    for start in range(0, len(due), _MOST_IDS):
        part = due[start : start + _MOST_IDS]
        gone = _without_row([one for one in part if one.store.has_rows], now)
        rest = [one for one in part if one not in gone and one.who.user is not None]
        doubted = not_let_in(rest)
        over += [*gone, *(one for one in doubted if one.is_doubted)]
        for one in rest:
            one.is_doubted = one in doubted
    return over


def _without_row(due: Iterable[Watched], now: float) -> set[Watched]:
    """Return whose row is gone, or has expired; the others follow theirs."""
    groups: defaultdict[type[Any], list[Watched]] = defaultdict(list)
    for one in due:
        groups[one.store.__class__].append(one)
    gone = set()
    for group in groups.values():
        found = group[0].store.read_many({one.who.sid for one in group})
        gone |= {one for one in group if not _follows(one, found.get(one.who.sid), now)}
    return gone


def _follows(one: Watched, read: Any, now: float) -> bool:
    """Go on as the row says; False where it says that the session is over."""
    if read is None or now >= read.row.expires_at or read.row.epoch < one.who.epoch:
        return False
    who = read.content.identity
    if one.who.user not in (None, who.user):
        return False
    one.expires_at = read.row.expires_at
    # A view that sets a password begins the epoch first and stores the new hash when it has ended.
    if who.epoch != one.who.epoch or one.is_doubted:
        one.follow(who, one.store._data_in(read.content))
    return True


class Watcher:
    """Asks for all that lives in one event loop."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._thread = ThreadPoolExecutor(1, "jwtsession-watch")
        self._began = time.time()
        # In no request's context: its thread ends with the request.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

    def add(self, one: Watched) -> None:
        self._watched.add(one)

    def remove(self, one: Watched) -> None:
        self._watched.discard(one)

    async def _run(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._pause())
                if not self._watched:
                    break
                await self._tick()
        finally:
            _watchers.pop(asyncio.get_running_loop(), None)
            self._thread.submit(connections.close_all)
            self._thread.shutdown(wait=False)

    def _pause(self) -> float:
        """Return the seconds until the feed is due, so that an end is known when it can be."""
        soonest = min((feed.wait() for feed in {one.feed for one in self._watched}), default=1.0)
        return min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, soonest))

    async def _tick(self) -> None:
        for feed in {one.feed for one in self._watched}:
            try:
                if feed.due():
                    await self._in_thread(_refresh, feed)
            except FeedUnavailable as error:
                self._end([one for one in self._watched if one.feed is feed], error)
            else:
                await self._judge(feed)

    async def _judge(self, feed: Feed) -> None:
        if feed.polls() and not feed.is_complete:
            return  # a part is read at each tick
        now = time.time()
        verdicts = {one: judge(one, now) for one in self._watched if one.feed is feed}
        self._end([one for one in verdicts if verdicts[one] is Verdict.OVER], SessionEnded())
        due = [one for one in verdicts if verdicts[one] is Verdict.LOOK]
        if not due:
            return
        try:
            self._end(await self._in_thread(look, due, now), SessionEnded())
        except (DatabaseError, InterfaceError) as error:
            patience = due[0].store.config.stale_if_error
            self._end([one for one in due if 0 < one.next_look < now - patience], error)
            return
        for one in due:
            rest = LOOK_EVERY - (now - self._began) % LOOK_EVERY
            one.next_look = now + (_DOUBT if one.is_doubted else rest)

    async def _in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    def _end(self, over: Iterable[Watched], error: Exception) -> None:
        for one in over:
            if one in self._watched:
                self._watched.discard(one)
                one.on_end(error)


_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()


def _refresh(feed: Feed) -> None:
    be_in(feed.place)
    feed.refresh()


async def begin(store: Any, on_end: OnEnd) -> Watched | None:
    """Watch a session until end(), or until it is over: then `on_end` is called, once.

    Arguments: `on_end` is called in the event loop, with SessionEnded, or with the DatabaseError
    where nobody can tell any more. Returns None for a visitor without a session.

    Raises SessionEnded where it is over already.
    """
    data = await store._aget_session()
    who = store.identity
    if who is None:
        if store.ended is not Ended.NOT:
            raise SessionEnded
        return None
    one = Watched(
        store,
        on_end,
        who,
        store._absolute_age(),
        store._expires_at,
        str(data.get(BACKEND_SESSION_KEY, "")),
        str(data.get(HASH_SESSION_KEY, "")),
    )
    if (one.feed.is_complete or not one.feed.polls()) and judge(one, time.time()) is Verdict.OVER:
        raise SessionEnded
    loop = asyncio.get_running_loop()
    if loop not in _watchers:
        _watchers[loop] = Watcher()
    _watchers[loop].add(one)
    return one


def end(one: Watched | None) -> None:
    """Watch a session no longer."""
    watcher = _watchers.get(asyncio.get_running_loop())
    if one is not None and watcher is not None:
        watcher.remove(one)


class Block:
    """What `session.watch()` returns: its body ends with SessionEnded when the session does."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._error: Exception | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._watched = await begin(self._store, self._cancel)

    def _cancel(self, error: Exception) -> None:
        assert self._task is not None
        self._error = error
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        end(self._watched)
        if self._error is None or self._task is None or kind is GeneratorExit:
            return  # a stream that is closed: its request was cancelled while it sent
        # As asyncio.timeout(): the cancellation is this block's own, unless there is another.
        if self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise self._error
