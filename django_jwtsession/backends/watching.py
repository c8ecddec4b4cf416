"""Whether a session is over, asked again and again by what lives longer than a request."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, load_backend
from django.utils.crypto import constant_time_compare

from .expiry import Expiry
from .flows import Flow, arun, run
from .knowledge import Ended

# Seconds between two looks at the user: deactivated, deleted, a new password.
_USER_EVERY = 2.0


class Watching(Expiry):
    """The part of TokenSession that streams and sockets ask."""

    _next_user_look = 0.0

    def is_over(self) -> bool:
        """Tell whether the session is over: cheap enough to ask each second.

        Over is a session that was revoked, that has reached its idle or absolute end, whose epoch
        has passed, whose user was deactivated or deleted or has a new password (within 2 s). A
        visitor without a session has none that could be over.
        """
        return run(self._watching())

    async def ais_over(self) -> bool:
        """See is_over()."""
        await self._aget_session()
        return await arun(self._watching())

    def _watching(self) -> Flow[bool]:
        self._get_session()
        if self.identity is None:
            return self.ended is not Ended.NOT
        if self._feed.due():
            yield
        self._feed.refresh()
        now = time.time()
        if self._is_past_its_end(now) or self._is_ended_by_feed():
            return True
        if (yield from self._is_gone(now)):
            return True
        if self.identity.user is None or now < self._next_user_look:
            return False
        self._next_user_look = now + _USER_EVERY
        yield
        return not _lets_in(self._get_session(), self.identity.user)

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


def _lets_in(data: dict[str, Any], user_id: str) -> bool:
    """Tell whether the backend still knows the user, with the password of the session."""
    try:
        backend: Any = load_backend(data[BACKEND_SESSION_KEY])
        user = backend.get_user(user_id)
    except Exception:  # a backend of another deploy, an id that is none: as Django, nobody
        return False
    if user is None:
        return False
    get_hash = getattr(user, "get_session_auth_hash", None)
    if get_hash is None:
        return True
    stored = str(data.get(HASH_SESSION_KEY, ""))
    fallbacks = getattr(user, "get_session_auth_fallback_hash", tuple)
    return any(constant_time_compare(stored, one) for one in (get_hash(), *fallbacks()))
