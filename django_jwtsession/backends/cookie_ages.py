"""Until when the tokens of a login can live, of which no row tells: its end is told for so long."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..models.place import current_alias
from ..models.retry import in_transaction
from ..models.times import as_of_today
from ..revocation import ending as revocation
from ..tokens.claims import Claims
from .cookie_reading import CookieReading
from .data import POLICY_KEY
from .knowledge import Data
from .options import options


class CookieAges(CookieReading):
    """The part of the engine `cookie` that knows how long parallel tokens may live."""

    # Whether tokens lived longer than the site's own age, before this request has changed theirs.
    _was_long: bool | None = None

    def set_expiry(self, value: Any) -> None:
        self._note_age(self._get_session())
        super().set_expiry(value)

    async def aset_expiry(self, value: Any) -> None:
        self._note_age(await self._aget_session())
        await super().aset_expiry(value)

    def _note_age(self, data: dict[str, Any]) -> None:
        if self._was_long is None:
            self._was_long = self._is_long(data)

    def _has_other_age(self) -> bool:
        """Tell whether this request has made tokens long that were not, or the other way round.

        In an epoch of before, that is: of its own there are no other tokens.
        """
        if self._was_long is None or self.began_epoch:
            return False
        return self._was_long != self._is_long(self._get_session())

    def _tell_of_age(self) -> None:
        """Tell everybody until when tokens of this login can live.

        Who ends it may hold an older one, and would let a copy come back that lives for longer.
        """
        if (end := self._absolute_end()) is not None:
            revocation.tell_of_age(self._identity().sid, end)
        if not in_transaction(current_alias()):  # what may be rolled back is told again
            self._was_long = None

    def _life_of_tokens(self, claims: Claims | None, now: float) -> float:
        """Return until when tokens of an epoch can live, those of parallel requests included.

        Those that live longer than the site's own age have each an end of their own, of which no
        other knows; none is later than that of the login.
        """
        usual = now + self._longest_idle()
        if claims is None:
            return max(usual, now + self.get_expiry_age())
        both = self._unpack(claims) or Data(), self._get_session()
        known = claims.exp, claims.mx or 0, self._feed.known_until(claims.sid)
        end = max(*known, usual, *(now + self._age_in(data) for data in both))
        if claims.auth_time is not None and any(map(self._is_long, both)):
            return max(end, claims.auth_time + self.config.absolute_age)
        return end

    def _is_long(self, data: dict[str, Any]) -> bool:
        return self._age_in(data) > self._longest_idle()

    def _age_in(self, data: dict[str, Any]) -> float:
        """Return the seconds that a session with this data lives without use, 0 for the usual."""
        expiry = data.get("_session_expiry")
        if isinstance(expiry, (str, datetime)):
            expiry = as_of_today(expiry)
        if expiry:
            return self.get_expiry_age(expiry=expiry)
        return float(data.get(POLICY_KEY, {}).get("idle", 0))

    def _longest_idle(self) -> float:
        """Return the longest idle age of this session's tokens: before its login it was another."""
        return max(self._idle_before, options.age, self.get_session_cookie_age())
