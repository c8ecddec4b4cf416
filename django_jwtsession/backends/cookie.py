"""Everything in the cookie: no query to read, none to write (DESIGN section 2).

That a session was ended, or has gone on to another epoch, is learned from the feed.
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils.crypto import constant_time_compare

from ..models.place import current_alias
from ..models.retry import written_in_transaction
from ..revocation import ending as revocation
from ..tokens import base64url
from ..tokens.claims import Claims
from ..tokens.sid import new_sid
from . import data as session_data
from .cookie_ages import CookieAges
from .flows import Flow
from .knowledge import Data, Ended, Identity, Incoming
from .opening import is_late, new_epoch
from .process import superseded
from .renewing import is_hash_upgrade


class SessionStore(CookieAges):
    """A stateless session, encrypted or signed by the site's `ALGORITHMS`."""

    # --- writing ---------------------------------------------------------------------------------

    def _creating(self) -> Flow[None]:
        yield from ()
        data, passed = self.__dict__.get("_session_cache"), self.sets_no_cookie
        self._be_nobody()
        self._session_cache = Data() if data is None else data
        self._begin()
        self._put(time.time())
        if passed:  # the browser has another one's, which stays
            self.ended = Ended.JUST_PASSED

    def move_in(self, old: Incoming) -> None:
        self._be_old(old)
        self._put(time.time())

    def move_out(self) -> bool:
        self.mark_logout()
        return self._ends_own()

    def _begin(self) -> None:
        self.identity = Identity(new_sid(), new_epoch(0, time.time()))
        self.ended, self.began_epoch = Ended.NOT, True

    def _saving(self, must_create: bool) -> Flow[None]:
        if "_session_cache" not in self.__dict__ and self._given is not None:
            yield
        self._get_session(no_load=must_create)
        if self.identity is None and self._given is not None:  # its data was replaced unseen
            yield
            self.load()
        self._go_back()
        if self.ended is Ended.PASSED and self._has_other_password():
            yield
            if self._has_new_password(self._data_that_came()):
                yield from self._beginning_epoch(is_soft=False, insists=True)
        if self.sets_no_cookie:
            return
        now = time.time()
        yield from self._asking(now)
        if self._has_ended():
            if not self._goes_on_elsewhere():
                raise UpdateError
            self.ended = Ended.PASSED  # of another request's cookie nothing is overwritten
            return
        if self.identity is None:
            self._begin()
        if self._has_other_age():
            yield
            self._tell_of_age()
        self._put(now)

    def _has_other_password(self) -> bool:
        """Tell whether this request has set the hash of another password than it came with."""
        both = self._data_that_came(), self._get_session()
        return not constant_time_compare(*(str(data.get(HASH_SESSION_KEY)) for data in both))

    def _data_that_came(self) -> Data:
        before = None if self._claims is None else self._unpack(self._claims)
        return Data() if before is None else before

    def _put(self, now: float) -> None:
        """Put the session into a new token. Raises SessionTooLarge."""
        superseded.add(self._token, now)
        self._settle_auth(self._get_session(), now)
        self._expires_at = self._idle_end(now)
        self._issue(now)
        # A token only counts once the browser has it.
        self.modified = True

    def is_behind(self, now: float) -> bool:
        return superseded.includes(self._token, now)

    def is_due(self, now: float) -> bool:
        return super().is_due(now) and not self._may_be_behind(now)

    def _may_be_behind(self, now: float) -> bool:
        """Tell whether the browser may have newer data than this request, which only read.

        What another process wrote meanwhile nobody knows here, so a late answer waits for the next
        one; not in the last quarter of the idle time, for pages may all be slow.
        """
        if self.is_behind(now):
            return True
        return is_late(self._began, now) and self._expires_at - now > self.get_expiry_age() / 4

    def _asking(self, now: float) -> Flow[None]:
        """Ask the feed before a cookie goes out, where the answer is late."""
        if self._token is not None and is_late(self._began, now):
            if self._feed.due(0.0):
                yield
            self._feed.refresh(0.0)
        if self._feed.looks_up():
            yield

    def _freshening(self, now: float) -> Flow[bool]:
        self._go_back()
        if self.sets_no_cookie:
            return False
        yield from self._asking(now)
        return not self._has_ended()

    def _idle_end(self, now: float) -> float:
        # Whole seconds, so that iat and exp differ by just the idle age.
        return int(super()._idle_end(int(now)))

    def _extending(self, now: float) -> Flow[bool]:
        yield from ()
        self._expires_at = self._idle_end(now)
        self._issue(now)
        self.modified = self.look_for_change = True
        return True

    def _claims_now(self, now: float) -> dict[str, Any]:
        who, end = self._identity(), int(self._expires_at)
        data = session_data.as_read_back(dict(self._get_session()), self.config)
        claims = session_data.pack(data, self.config, who)
        if claims["d"] is None and claims["sub"] is None:  # it has to say that it holds all
            claims["d"] = {} if self.config.data_is_json else self._nothing()
        claims |= {"sid": who.sid, "iat": int(now), "exp": end, "ep": who.epoch}
        return claims | {"mx": self._longest(who)}

    def _nothing(self) -> str:
        return base64url.encode(self.serializer().dumps({})).decode("ascii")

    def _longest(self, who: Identity) -> int | None:
        """Return the latest `exp` that was issued in this epoch, if it is not the one to come."""
        before = self._claims
        if before is None or before.ep != who.epoch:
            return None
        latest = int(max(before.exp, before.mx or 0))
        return latest if latest > self._expires_at else None

    # --- epochs and the end -----------------------------------------------------------------------

    def _cycling(self) -> Flow[None]:
        if "_session_cache" not in self.__dict__ and self._given is not None:
            yield
        data = self._get_session()
        if self.identity is None:
            if self._earlier is None and not self.sets_no_cookie:
                self._begin()
                self._put(time.time())
            self.modified = True
            return
        yield
        if not is_hash_upgrade(data):
            yield from self._beginning_epoch(is_soft=False)

    def _proving(self) -> Flow[None]:
        yield
        self._get_session()
        if self.identity is not None:
            yield from self._beginning_epoch(is_soft=True, proves=True)

    def _beginning_epoch(
        self, is_soft: bool, *, proves: bool = False, insists: bool = False
    ) -> Flow[None]:
        yield
        self._go_back()
        who, now = self._identity(), time.time()
        self._feed.refresh(0.0)
        end = self._feed.end_of(who.sid)
        if who.user is not None and self._has_ended() and not self._goes_on_elsewhere():
            raise SessionInterrupted("The session has ended while the request was running.")
        if self._goes_on_elsewhere() and who.user is not None and not (is_soft or insists):
            self.ended = Ended.PASSED  # what came before that epoch is worthless already
            return
        if end == math.inf or (who.user is None and self._goes_on_elsewhere()):
            self._begin()  # of an anonymous one nothing is lost
            self._put(now)
            return
        until = self._life_of_tokens(self._claims, now)
        # What goes on after that end may be an epoch of another request's.
        epoch = new_epoch(max(who.epoch, 0 if end is None else int(end) + 1), now)
        before = self._before()
        self.identity = who.but(epoch=epoch, proved_at=round(now, 3) if proves else who.proved_at)
        self.began_epoch, self.ended = True, Ended.NOT
        revocation.begin_epoch(who.sid, epoch, until, is_soft)
        self._note_unsettled(written_in_transaction(current_alias()), None, before)
        self._put(now)

    def _handing_over(self) -> Flow[bool]:
        yield
        self._go_back()
        who = self._identity()
        return self.began_epoch and self._feed.end_of(who.sid) == who.epoch - 1

    def _take_up(self, data: dict[str, Any]) -> bool:
        earlier, self._earlier = self._earlier, None
        self.ended = Ended.NOT
        if earlier is None or earlier.sub is None or earlier.sub != session_data.user_of(data):
            return False
        self.identity, self._claims = self._identity_in(earlier), earlier
        theirs = self._unpack(earlier) or Data()
        theirs.pop(session_data.POLICY_KEY, None)  # that of the login before
        data.update({**theirs, **data})
        return True

    def _deleting(self, session_key: str | None) -> Flow[None]:
        yield
        if session_key is None or session_key == self._token:
            self._ends_own()
            self._session_cache = Data()
            self._be_nobody(Ended.HERE)
            self.modified = True
            return
        came = self._named(session_key)
        if isinstance(came, Claims):
            self._feed.refresh(0.0)
            self._end(came, came.ep)

    def _ends_own(self) -> bool:
        self._go_back()
        claims = self._earlier if self._logging_out else None
        if claims is not None and claims.sub is None:
            return False
        if claims is None and self.identity is None and self._given is not None:
            self.load()
        claims = claims or (self._claims if self.identity is not None else None)
        if claims is None:
            return False
        # Another epoch may have begun just now, or tokens live longer.
        self._feed.refresh(0.0)
        if self._goes_on_elsewhere() and not self._logging_out:
            return False
        # Of a login that followed under the same sid, a visitor's logout ends nothing.
        is_for_good = self._logging_out and claims.sub is not None
        self._end(claims, None if is_for_good else claims.ep)
        return True

    def _end(self, claims: Claims, epoch: int | None) -> None:
        """End what tokens up to an epoch open (None: for good).

        A row of the session, of another engine, has noted that there are such tokens: the feed is
        asked before it opens (see db.py).
        """
        end = self._life_of_tokens(claims, time.time())
        entry = revocation.Entry("s", claims.sid, end, "deleted", epoch=epoch)
        revocation.publish([entry])
        written = written_in_transaction(current_alias())
        self._end_again_if_undone(written, partial(self._end, claims, epoch))
