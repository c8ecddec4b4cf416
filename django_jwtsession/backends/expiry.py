"""How long a session lives, and what is due of it: the half of a session that knows the clock."""

from __future__ import annotations

import math
import time
from datetime import datetime
from typing import Any

from ..history import later
from ..models.times import as_of_today, to_datetime
from . import policy
from .belonging import Belonging
from .data import POLICY_KEY
from .flows import Flow, arun, run
from .options import options
from .passive import is_passive

_NOTHING: dict[str, Any] = {}


class Expiry(Belonging):
    """The part of TokenSession that is about time; ages are seconds, times Unix times.

    `passive` says that the visitor did nothing: what is stored extends nothing. None: it was not
    looked at yet.
    """

    passive: bool | None = None

    @property
    def expires_at(self) -> float | None:
        """Unix time at which this session ends if it is not used again.

        None where that is not known without a query: for one that was never saved, and inside the
        window of the hybrid engine, until revalidate() reads the row.
        """
        self._get_session()
        return self._expires_at or None

    @property
    def trusted_until(self) -> float | None:
        """Unix time until which the copy in the cookie may be trusted; None without such a copy."""
        self._get_session()
        return self._claims.rv if self._claims is not None else None

    # What POLICY said at the login is in the data. Of a session that is not loaded nobody knows it:
    # its end is in the row or the token already. Read in place, as each request asks for it.

    def get_session_cookie_age(self) -> int:
        """Return the seconds that the session lives without use, where it has no say of its own."""
        kept = self.__dict__.get("_session_cache", _NOTHING).get(POLICY_KEY)
        if kept and "idle" in kept:
            idle: int = math.ceil(kept["idle"])
            return idle
        return options.age

    def get_expire_at_browser_close(self) -> bool:
        data = self._get_session()
        if (expiry := data.get("_session_expiry")) is not None:
            return bool(expiry == 0)
        kept = data.get(POLICY_KEY)
        if kept and "persistent" in kept:
            return not kept["persistent"]
        return options.expire_at_browser_close

    def get_expiry_age(self, **kwargs: Any) -> int:
        # As Django's, which reads the data more than once and knows three types of expiry.
        if not kwargs and "_session_expiry" not in self._get_session():
            return self.get_session_cookie_age()
        return super().get_expiry_age(**self._with_expiry(kwargs))

    async def aget_expiry_age(self, **kwargs: Any) -> int:
        await self._aget_session()
        return await super().aget_expiry_age(**self._with_expiry(kwargs))

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        return super().get_expiry_date(**self._with_expiry(kwargs))

    async def aget_expiry_date(self, **kwargs: Any) -> datetime:
        await self._aget_session()
        return await super().aget_expiry_date(**self._with_expiry(kwargs))

    def _with_expiry(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments with the session's fixed end, if it has one, as USE_TZ is now.

        It was stored as it was then: on a site that has switched, Django's could not be subtracted.
        """
        if "expiry" in kwargs:
            return kwargs
        end = self._get_session().get("_session_expiry")
        return (
            {**kwargs, "expiry": as_of_today(end)} if isinstance(end, (str, datetime)) else kwargs
        )

    def cookie_max_age(self) -> int | None:
        """Return the seconds for which the browser keeps the cookie, None for until it closes."""
        if self.get_expire_at_browser_close():
            return None
        age = math.ceil(self.get_expiry_age())  # set_expiry() takes a float
        end = self._absolute_end()
        return age if end is None else min(age, math.ceil(end - time.time()))

    def _absolute_age(self) -> float:
        age = self.config.absolute_age
        kept = self.__dict__.get("_session_cache", _NOTHING).get(POLICY_KEY)
        return min(age, kept["absolute"]) if kept and "absolute" in kept else age

    def _absolute_end(self) -> float | None:
        who = self.identity
        if who is None or who.auth_time is None:
            return None
        return who.auth_time + self._absolute_age()

    def _idle_end(self, now: float) -> float:
        end = policy.idle_end(now, self._age_from(now), self._absolute_end())
        if not self._expires_at or self.began_epoch or not self._is_passive():
            return end
        return min(end, self._expires_at)

    def _is_passive(self) -> bool:
        """Tell whether the visitor did nothing, also where a view saves by itself."""
        if self.passive is None:
            request = later.answering.get()
            is_its_own = request is not None and getattr(request, "session", None) is self
            self.passive = is_its_own and is_passive(request)
        return self.passive

    def _age_from(self, now: float) -> float:
        """Return the seconds from `now` on that the session lives; exact where it has a fixed end.

        Django's get_expiry_age() has whole seconds, and would end it up to one early.
        """
        expiry = self._get_session().get("_session_expiry")
        if not isinstance(expiry, (datetime, str)):
            return self.get_expiry_age()
        return (self.get_expiry_date() - to_datetime(now)).total_seconds()

    # --- what is due ------------------------------------------------------------------------------

    def is_due(self, now: float) -> bool:
        """Tell whether the response to a request that only read the session needs anything."""
        return self.refresh_due(now) or self.reissue_due(now) or self.touch_due(now)

    def is_behind(self, now: float) -> bool:
        """Tell whether the browser has newer data than this request, as far as it is known here."""
        return False

    def refresh_due(self, now: float) -> bool:
        """Tell whether the response should extend this loaded session."""
        if self.identity is None:
            return False
        age = self.get_expiry_age()
        if self._expires_at - now > age / 2:  # as in nearly every request
            return False
        return policy.refresh_due(now, self._expires_at, age, self._absolute_end())

    def reissue_due(self, now: float) -> bool:
        """Tell whether the browser should get a new cookie for a session that did not change."""
        if self.cookie_due:
            return True
        return self._claims is not None and not self._is_token_current(now)

    def _is_token_current(self, now: float) -> bool:
        return self._token is not None and self._codec.is_current(self._token, now)

    def touch_due(self, now: float) -> bool:
        """Tell whether the store should note that the session was seen."""
        return False

    # --- carrying it out --------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Extend the session to its full idle age now, as far as its absolute end allows.

        Returns whether anything was extended: False for a session that was never saved, that has
        ended, or that has a fixed end (`set_expiry(datetime)`).
        """
        self._get_session()
        return run(self._refreshing())

    async def arefresh(self) -> bool:
        """See refresh()."""
        await self._aget_session()
        return await arun(self._refreshing())

    def _refreshing(self) -> Flow[bool]:
        now, self.passive = time.time(), False  # somebody asks for it
        if self.identity is None or not (yield from self._freshening(now)):
            return False
        if self._idle_end(now) <= self._expires_at + min(1.0, self.get_expiry_age() / 4):
            return False
        extended = yield from self._extending(now)
        self.cookie_due = self.cookie_due or extended
        return extended

    def hand_over(self) -> bool:
        """Have a token of the epoch that began in this request; False if that was rolled back.

        What the request has changed beside it is not stored.
        """
        return run(self._handing_over())

    async def ahand_over(self) -> bool:
        """See hand_over()."""
        return await arun(self._handing_over())

    def reissue(self) -> bool:
        """Make the token one of today for the session as it is; False if no cookie may go out."""
        return run(self._reissuing())

    async def areissue(self) -> bool:
        """See reissue()."""
        return await arun(self._reissuing())

    def _reissuing(self) -> Flow[bool]:
        now = time.time()
        if not (yield from self._freshening(now)):
            return False
        self._issue(now)
        return True
