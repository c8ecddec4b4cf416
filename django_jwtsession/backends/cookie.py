"""Everything in the cookie: no query to read, none to write (DESIGN section 2).

That a session was ended is learned from the feed.
"""

from __future__ import annotations

import time
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted

from ..exceptions import Reason, SessionTooLarge
from ..revocation import ending as revocation
from ..revocation.feed import MOVED, get_feed
from ..tokens.claims import Claims
from ..tokens.sid import new_sid
from . import data as session_data
from .base import FRESH_FOR, TokenSession
from .superseded import superseded


class SessionStore(TokenSession):
    """A stateless session, encrypted or signed by the site's `ALGORITHMS`."""

    # --- reading ---------------------------------------------------------------------------------

    def load(self) -> dict[str, Any]:
        """Return the data in the token; {} and no key where it is bad or its session has ended."""
        claims = self._open()
        if claims is not None:
            get_feed().refresh()
        return self._judge(claims)

    async def aload(self) -> dict[str, Any]:
        """See load()."""
        claims = self._open()
        if claims is not None:
            await get_feed().arefresh()
        return self._judge(claims)

    def _judge(self, claims: Claims | None) -> dict[str, Any]:
        if claims is None:
            return self._accept(None, None)
        if get_feed().is_ended(claims.sid):
            self._look_for_end(claims)
        self._auth_time = claims.auth_time
        self._expires_at = claims.exp
        if claims.rv is not None:  # of the hybrid engine, whose idle end is in a row
            self._expires_at = min(claims.exp, claims.iat + self.get_session_cookie_age())
        reason = self._refusal(claims, time.time())
        if reason is not None:
            self._log(reason)
            return self._accept(None, None)
        return self._accept(claims, self._unpack(claims))

    def _refusal(self, claims: Claims, now: float) -> Reason | None:
        """Say why an authentic token opens nothing, None where it does."""
        end = self._absolute_end()
        if now >= self._expires_at or (end is not None and now >= end):
            return Reason.EXPIRED
        if self._revoked(claims):
            return Reason.REVOKED
        if claims.big or (claims.sub is None and claims.d is None and claims.ver is not None):
            return Reason.CLAIMS  # of another engine, with its data in a row
        return None

    def exists(self, session_key: str | None = None) -> bool:
        """Tell whether a token is authentic and was not ended, as far as this process knows."""
        claims = self._claims_of(session_key)
        return claims is not None and not self._revoked(claims)

    async def aexists(self, session_key: str | None = None) -> bool:
        return self.exists(session_key)

    def is_revoked(self) -> bool:
        get_feed().refresh()
        return self._ended()

    async def ais_revoked(self) -> bool:
        """See is_revoked()."""
        await get_feed().arefresh()
        return self._ended()

    def revalidate(self) -> None:
        get_feed().refresh(0.0)
        self._revalidated()

    async def arevalidate(self) -> None:
        """See revalidate()."""
        await get_feed().arefresh(0.0)
        self._revalidated()

    def _revalidated(self) -> None:
        if self._ended():
            self._session_cache = self._accept(None, None)

    def _ended(self) -> bool:
        return self._claims is not None and self._revoked(self._claims)

    # --- writing ---------------------------------------------------------------------------------

    def create(self) -> None:
        """Begin a new session; its cookie goes out with the response."""
        self._reset()
        self.overtaken = False
        self.save()

    async def acreate(self) -> None:
        self.create()

    def save(self, must_create: bool = False) -> None:
        """Put the session into a new token.

        Raises SessionTooLarge, and UpdateError where the session has ended meanwhile.
        """
        data = self._get_session(no_load=must_create)
        if self._must_ask(time.time()):
            get_feed().refresh(0.0)
        self._save(data)

    async def asave(self, must_create: bool = False) -> None:
        """See save()."""
        data = await self._aget_session(no_load=must_create)
        if self._must_ask(time.time()):
            await get_feed().arefresh(0.0)
        self._save(data)

    def _save(self, data: dict[str, Any]) -> None:
        if self._claims is None:
            self._claims = self._claims_of(self.session_key)  # its data was replaced unseen
            self._sid = self._claims.sid if self._claims else new_sid()
        if self.overtaken or self._ended():
            raise UpdateError
        self._write(data, time.time())

    def _write(self, data: dict[str, Any], now: float) -> None:
        self._settle_auth(data, now)
        self._expires_at = self._idle_end(now)
        superseded.add(self.session_key, now)
        self._issue(data, now)
        # A token only counts once the browser has it.
        self.modified = True

    def is_due(self, now: float) -> bool:
        return super().is_due(now) and not self._may_be_behind(now)

    def _may_be_behind(self, now: float) -> bool:
        """Tell whether the browser may have newer data than this request, which only read.

        What another process wrote meanwhile nobody knows here, so a late answer waits for the next
        one; not in the last quarter of the idle time, for pages may all be slow.
        """
        if superseded.includes(self.session_key, now):
            return True
        is_late = now - self._began > FRESH_FOR
        return is_late and self._expires_at - now > self.get_expiry_age() / 4

    def _must_ask(self, now: float) -> bool:
        """Tell whether the feed is to be asked before a cookie goes out: the answer is late."""
        return self.session_key is not None and now - self._began > FRESH_FOR

    def _fresh(self, now: float) -> bool:
        if self._must_ask(now):
            get_feed().refresh(0.0)
        return not self._ended()

    def _idle_end(self, now: float) -> float:
        # Whole seconds, so that iat and exp differ by just the idle age.
        return int(super()._idle_end(int(now)))

    def _extend(self, now: float) -> bool:
        self._expires_at = self._idle_end(now)
        self._issue(self._get_session(), now)
        self.modified = self.look_for_change = True
        return True

    async def arefresh(self) -> bool:
        """See refresh()."""
        await self._aget_session()
        return await self._after_asking(self.refresh)

    async def areissue(self) -> bool:
        """See reissue()."""
        return await self._after_asking(self.reissue)

    async def _after_asking(self, method: Any) -> bool:
        """Call `method`; in a thread where it is going to ask the database."""
        if self._must_ask(time.time()) and get_feed().due(0.0):
            method = sync_to_async(method)
            return bool(await method())
        return bool(method())

    def _token_claims(self, data: dict[str, Any], now: float) -> Claims:
        assert self._sid is not None
        claims = Claims(self._sid, int(now), int(self._expires_at))
        return session_data.pack(claims, data, self.config, self._auth_time)

    def _too_large(
        self, claims: Claims, data: dict[str, Any], size: int, now: float
    ) -> tuple[str, Claims]:
        raise SessionTooLarge(size, self.config.max_cookie_size, self._biggest(data))

    def _biggest(self, data: dict[str, Any]) -> list[tuple[str, int]]:
        """Return the names of the three longest values, longest first, and their bytes."""
        dumps = self.serializer().dumps
        sizes = [(str(key), len(dumps({"": value}))) for key, value in data.items()]
        return sorted(sizes, key=lambda item: -item[1])[:3]

    # --- ending ----------------------------------------------------------------------------------

    def cycle_key(self) -> None:
        """Keep the data under a new sid.

        Raises SessionInterrupted (400) where a login has ended meanwhile: its data must not come
        back under another name.
        """
        data = self._get_session()
        if self._auth_user is not None and not self._fresh(time.time()):
            raise SessionInterrupted("The session has ended while the request was running.")
        self._auth_time = self._kept_auth_time()
        old, self._sid = self._claims, new_sid()
        self.overtaken = False
        self._write(data, time.time())
        if old is not None:
            self._end(old, MOVED)

    async def acycle_key(self) -> None:
        """See cycle_key()."""
        await self._aget_session()
        if self._sid is None:
            self.cycle_key()
        else:
            await sync_to_async(self.cycle_key)()

    def delete(self, session_key: str | None = None) -> None:
        own = session_key is None or session_key == self.session_key
        super().delete(session_key)
        if own:
            self._session_cache = {}
            self._reset()
            self.modified = self.ended_here = True

    def _end(self, claims: Claims, reason: str) -> None:
        # A parallel request may have extended the session just now.
        end = max(claims.exp, time.time() + self.get_session_cookie_age())
        revocation.publish([revocation.Entry("s", claims.sid, end, reason)])
