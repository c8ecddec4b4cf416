"""Whether a session is over, asked again and again by what lives longer than a request."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY

from . import live, people
from .expiry import Expiry
from .flows import Flow, arun, run
from .knowledge import Ended

# Seconds between two looks at the user: deactivated, deleted, a new password.
_USER_EVERY = 2.0


class Watching(Expiry):
    """The part of TokenSession that streams and sockets ask."""

    # Whether there is a row that tells how the session goes on.
    has_rows = False
    _next_user_look = 0.0

    def is_over(self) -> bool:
        """Tell whether the session is over: cheap enough to ask each second.

        Over is a session that was revoked, that has reached its idle or absolute end, whose epoch
        has passed, whose user was deactivated or deleted or has a new password (within 2 s), or
        whose proof of the device's key is too old. A visitor without a session has none that could
        be over.
        """
        return run(self._watching())

    async def ais_over(self) -> bool:
        """See is_over()."""
        await self._aget_session()
        return await arun(self._watching())

    def watch(self) -> AbstractAsyncContextManager[None]:
        """Return a block for what lives longer than a request: `async with session.watch():`.

        Its body is cancelled, and SessionEnded leaves it, within 1.3 s of the end: the session was
        revoked, its idle or absolute end has come, its user was deactivated, deleted or has another
        password. What only SQL or `queryset.update()` has changed is found within 30 s. A later
        epoch is no end: it is the same login. A visitor without a session is not watched.

        However many there are, one task an event loop asks for all. Raises SessionEnded where the
        session is over when the block begins, DatabaseError where nobody can tell any more
        (STALE_IF_ERROR).
        """
        return live.Block(self)

    def _watching(self) -> Flow[bool]:
        self._get_session()
        if self.identity is None:
            return self.ended is not Ended.NOT
        if not self._feed.is_quiet():
            yield
            self._feed.refresh()
        now = time.time()
        if self._is_past_its_end(now) or self._is_ended_by_feed():
            return True
        if self.is_locked():
            return True
        if (yield from self._is_gone(now)):
            return True
        if self.identity.user is None or now < self._next_user_look:
            return False
        self._next_user_look = now + _USER_EVERY
        yield
        data, who = self._get_session(), self.identity.user
        hashed = str(data.get(HASH_SESSION_KEY, ""))
        return not people.lets_in(str(data.get(BACKEND_SESSION_KEY, "")), who, hashed)

    def _is_past_its_end(self, now: float) -> bool:
        end = self._absolute_end()
        if end is not None and now >= end:
            return True
        return 0 < self._expires_at <= now

    def _is_ended_by_feed(self) -> bool:
        who = self.identity
        assert who is not None
        return self._feed.revoked(who.sid, who.user, who.auth_time, who.epoch)

    def _is_gone(self, now: float) -> Flow[bool]:
        """Tell whether the place where the truth is says that the session is over."""
        return False
        yield
