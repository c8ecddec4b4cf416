"""A session that stands in its cookie alone: how it is opened, and judged by the feed."""

from __future__ import annotations

import math
import time
from typing import Any

from ..exceptions import Reason
from ..models.times import to_datetime
from ..revocation import ending as revocation
from ..revocation.feed import RECENT, NewEpoch
from ..tokens.claims import Claims
from . import hybrid, rotation, rows
from .base import TokenSession
from .flows import Flow, arun, run
from .knowledge import EARLIER, Ended
from .opening import Key
from .refusals import refusals


class CookieReading(TokenSession):
    """The half of the engine `cookie` that reads."""

    # --- the key ----------------------------------------------------------------------------------

    def _get_session_key(self) -> str | None:
        """The token: there is no row, and nothing shorter that would open the session."""
        return self._token

    def _set_session_key(self, value: str | None) -> None:
        self._be_nobody()
        if value:
            self._take(value)

    session_key = property(_get_session_key)
    _session_key = property(_get_session_key, _set_session_key)

    def _key_in(self, given: str) -> Key | None:
        return None

    def exists(self, session_key: str | None = None) -> bool:
        """Tell whether a token is authentic and was not ended, as far as this process knows."""
        return run(self._existing(session_key))

    async def aexists(self, session_key: str | None = None) -> bool:
        return await arun(self._existing(session_key))

    def _existing(self, session_key: str | None) -> Flow[bool]:
        came = self._named(session_key)
        if self._feed.looks_up():
            yield
        return isinstance(came, Claims) and not self._is_revoked(came)

    # --- reading ---------------------------------------------------------------------------------

    def _loading(self) -> Flow[dict[str, Any]]:
        """Return the data in the token; {} where it is bad or its session has ended."""
        came = self._came_with()
        if not isinstance(came, Claims):
            return self._be_nobody()
        if not self._feed.is_quiet():
            yield
            self._feed.refresh()
        if not came.holds_all:
            yield
            return self._take_over(came)
        ended = self._admit(came)
        if ended not in (Ended.NOT, Ended.PASSED):
            return self._be_nobody(ended)
        data = self._unpack(came)
        if data is None:
            return self._be_nobody(Ended.REFUSED)
        self._claims, self.ended = came, ended
        if ended is Ended.PASSED:  # no proof of before counts
            self.identity = self._identity().but(proved_at=None)
        self._expires_at = came.exp
        return data

    def _admit(self, came: Claims) -> Ended:
        """Judge an authentic token by its times and by the feed."""
        now = time.time()
        self.identity = self._identity_in(came)
        end = self._absolute_end()
        if now >= came.exp or (end is not None and now >= end):
            refusals.log(Reason.EXPIRED)
            return Ended.REFUSED
        if not self._is_revoked(came):
            return Ended.NOT
        refusals.log(Reason.REVOKED)
        passed, begun = self._feed.end_of(came.sid), self._feed.new_epoch_of(came.sid)
        if passed is None or passed == math.inf:
            return Ended.REFUSED
        self._earlier = came
        uploads = rotation.uploads(self.environ or {})
        is_slow = not 0 <= now - self._began < RECENT  # how it began may be forgotten by now
        if begun is None and not uploads and not is_slow:  # long ago, or there is no later one
            return Ended.REFUSED
        reads_on = begun is NewEpoch.PROOF and self._reads_only()
        reads_on = reads_on and self._feed.is_last_but_one(came.sid, came.ep)
        verdict = rotation.judge_earlier(
            int(passed) + 1, self._began, only_reads=reads_on, uploads=uploads
        )
        return EARLIER[verdict]

    def _take_over(self, came: Claims) -> dict[str, Any]:
        """Go on with a session of an engine with rows: the row is the truth, and notes the move."""
        other = hybrid.SessionStore(self._token)
        other.environ = self.environ
        data = other._from_row(came)
        if other.identity is None or other.ended is not Ended.NOT:
            return self._be_nobody(other.ended)
        who = other.identity
        self.identity, self._expires_at = who, other._expires_at
        self._claims = came._replace(sub=who.user, auth_time=who.auth_time)  # as one of its own
        until = to_datetime(revocation.longest_end(self.config))
        rows.update(other.model, other._pk, {"cookie_until": until}, epoch=who.epoch)
        self.cookie_due = True
        return data

    def _revalidating(self) -> Flow[None]:
        yield  # not loaded yet, it may ask as well
        self._get_session()
        self._go_back()
        self._feed.refresh(0.0)
        if not self._has_ended():
            return
        if self._goes_on_elsewhere():
            self._have_passed(int(self._feed.end_of(self._identity().sid) or 0) + 1)
        else:
            self._be_over(Ended.REFUSED)

    def _has_ended(self) -> bool:
        """Tell whether the feed has ended this session, or its epoch, as far as is known."""
        who = self.identity
        if who is None or self._claims is None:
            return False
        return self._feed.revoked(who.sid, self._claims.sub, self._claims.auth_time, who.epoch)

    def _has_gone_on(self) -> bool:
        self._feed.refresh(0.0)
        # Without a feed nobody learns of it, nor that a copy of the cookie has been here before.
        return self.config.revocation_poll is None or self._has_ended()

    def _goes_on_elsewhere(self) -> bool:
        """Tell whether what ended is the epoch and not the session."""
        who = self.identity
        end = None if who is None else self._feed.end_of(who.sid)
        if who is None or end is None or end == math.inf:
            return False
        # Of an epoch that began in the very next millisecond the number alone does not tell.
        has_new_epoch = self._feed.new_epoch_of(who.sid) is not None
        return end > who.epoch or (end == who.epoch and has_new_epoch)
