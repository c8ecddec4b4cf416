"""What the engines share: the token at the door, expiry, refresh, and Django's session API.

`session.session_key` is the cookie's value, `session.sid` the name that stays the same for a
session's life. An engine says how a session is read, written, extended and ended.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase

from ..conf import Config, get_config
from ..devices.places import sightings
from ..exceptions import BadToken, Reason
from ..revocation.feed import get_feed
from ..tokens.claims import Claims
from . import data as session_data
from . import policy
from .options import get_options
from .refusals import refusals

# Django takes none that is shorter.
_SHORTEST_KEY = 8

# What cannot be a token of anybody: nothing is lost where it is deleted.
_NO_TOKEN = frozenset({Reason.MALFORMED, Reason.TOO_LONG})

# What a request knows of its session is good for so long; a later answer asks again before it
# hands out a cookie: the session may have ended, or the browser may have a newer one.
FRESH_FOR = 0.1


class TokenSession(SessionBase):
    """A session whose `session_key` is a token (DESIGN section 2).

    `cookie_due` says that the browser's cookie is behind this session though nothing of it is left
    to save. `ended_here` says that this request has ended the session that came, `no_token` that
    what came can be nobody's: no other cookie is deleted, for the browser's may be a newer one.
    `overtaken` says that the session was ended by a login, which moved it to a new id: nothing of
    the answer may touch the cookie. `passive` says that the visitor did nothing: what is stored
    extends nothing. `withholds_cookie` says that what came in opens the session for this request
    alone: whatever it writes, no cookie goes out. `environ` is the META of the request, where the
    middleware or a login gave it: rows and history take the device from it.
    """

    cookie_due = False
    ended_here = False
    no_token = False
    overtaken = False
    withholds_cookie = False
    passive = False
    environ: Mapping[str, Any] | None = None
    # Whether it is time to look if another device or address uses the session: now and then.
    look_for_change = False
    # The row of a session that this request ended, since it came with an old copy of its cookie.
    reused: Any = None
    _token: str | None = None
    # Known once the session is loaded or saved; times as Unix times.
    _sid: str | None = None
    _claims: Claims | None = None
    _auth_time: float | None = None
    _auth_user: Any = None
    _expires_at: float = 0.0

    if TYPE_CHECKING:  # Django's, but for its stubs
        _session_cache: dict[str, Any]

        def _get_session(self, no_load: bool = False) -> dict[str, Any]: ...
        async def _aget_session(self, no_load: bool = False) -> dict[str, Any]: ...

    def __init__(self, session_key: str | None = None) -> None:
        # As SessionBase does, with the serializer looked up once a process.
        self.accessed = False
        self.modified = False
        self.config: Config = get_config()
        self.serializer = self.config.serializer
        self._began = time.time()
        if session_key:
            if len(session_key) >= _SHORTEST_KEY:
                self._token = session_key
            else:
                self._log(Reason.MALFORMED)

    def _set_session_key(self, value: str | None) -> None:
        self._token = value if value and len(value) >= _SHORTEST_KEY else None

    # Read several times a request: getters in C, where Django has functions.
    session_key = property(attrgetter("_token"))
    _session_key = property(attrgetter("_token"), _set_session_key)

    # --- what an engine provides, beside load(), save(), create(), exists(), cycle_key() ----------

    def _extend(self, now: float) -> bool:
        """Move the idle end as far as it goes, and `session_key` with it; False if it has ended."""
        raise NotImplementedError

    def _fresh(self, now: float) -> bool:
        """Make sure that a cookie may go out for this session; False if it has ended."""
        raise NotImplementedError

    def _token_claims(self, data: dict[str, Any], now: float) -> Claims:
        """Return the claims of a token issued now."""
        raise NotImplementedError

    def _too_large(
        self, claims: Claims, data: dict[str, Any], size: int, now: float
    ) -> tuple[str, Claims]:
        """Return a token in place of one that would be `size` bytes with its name, and its claims.

        Raises SessionTooLarge where there is none.
        """
        raise NotImplementedError

    def _end(self, claims: Claims, reason: str) -> None:
        """End the session that `claims` name for everyone who holds a token of it."""
        raise NotImplementedError

    def is_revoked(self) -> bool:
        """Tell whether the session was ended since it was loaded: cheap enough to ask each second.

        For views that stream for longer than a request should trust its session.
        """
        raise NotImplementedError

    def revalidate(self) -> None:
        """Read the session from where the truth is, now; unsaved changes of this request stay."""
        raise NotImplementedError

    # --- the public additions to Django's API ----------------------------------------------------

    @property
    def sid(self) -> str | None:
        """The id of this session: 22 characters, the same until login or logout; None if unsaved.

        This, not `session_key`, is what to store beside a cart. Loads the session; in async code
        read it after any `await session.aget(..)`.
        """
        self._get_session()
        return self._sid

    @property
    def auth_time(self) -> float | None:
        """Unix time of the login, with milliseconds; None for an anonymous session."""
        self._get_session()
        return self._auth_time

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

    def refresh(self) -> bool:
        """Extend the session to its full idle age now, as far as its absolute end allows.

        Returns whether anything was extended: False for a session that was never saved, that has
        ended, or that has a fixed end (`set_expiry(datetime)`).
        """
        self._get_session()
        now = time.time()
        if self._sid is None or not self._fresh(now):
            return False
        # By more than the fraction of a second that a fixed end seems to move.
        if self._idle_end(now) <= self._expires_at + min(1.0, self.get_expiry_age() / 4):
            return False
        extended = self._extend(now)
        self.cookie_due = self.cookie_due or extended
        return extended

    def mark_login(self, environ: Mapping[str, Any]) -> None:
        """Note that the user has just proved who they are: `auth_time` moves to now."""
        get_feed().refresh(0.0)
        self._auth_user = self._get_session().get(SESSION_KEY)
        self._auth_time = self._login_time(time.time())
        self.environ = self.environ or environ
        self.modified = True

    # --- what the middleware asks ----------------------------------------------------------------

    def get_session_cookie_age(self) -> int:
        return get_options().age

    def get_expiry_age(self, **kwargs: Any) -> int:
        # As Django's, which reads the data more than once and knows three types of expiry.
        if not kwargs and "_session_expiry" not in self._get_session():
            return self.get_session_cookie_age()
        return super().get_expiry_age(**kwargs)

    def is_due(self, now: float) -> bool:
        """Tell whether the response to a request that only read the session needs anything."""
        return self.refresh_due(now) or self.reissue_due(now) or self.touch_due(now)

    def refresh_due(self, now: float) -> bool:
        """Tell whether the response should extend this loaded session."""
        if self._sid is None:
            return False
        age = self.get_expiry_age()
        if self._expires_at - now > age / 2:  # as in nearly every request
            return False
        return policy.refresh_due(now, self._expires_at, age, self._absolute_end())

    def reissue_due(self, now: float) -> bool:
        """Tell whether the browser should get a new cookie for a session that did not change."""
        if self.cookie_due:
            return True
        return self._token is not None and not self.config.codec.is_current(self._token, now)

    def touch_due(self, now: float) -> bool:
        """Tell whether the store should note that the session was seen."""
        return False

    def is_elsewhere(self) -> bool:
        """Tell whether a logged-in user's session, as loaded, is used where it was not before.

        As far as this process knows: see devices/places.py.
        """
        if self._sid is None or self._auth_time is None or self.environ is None:
            return False
        return sightings.is_new(self._sid, self.environ, self.config)

    def reissue(self) -> bool:
        """Make `session_key` a token of today for the session as it is; False if it has ended."""
        now = time.time()
        if not self._fresh(now):
            return False
        self._issue(self._get_session(), now)
        return True

    def cookie_max_age(self) -> int | None:
        """Return the seconds for which the browser keeps the cookie, None for until it closes."""
        if self.get_expire_at_browser_close():
            return None
        age = math.ceil(self.get_expiry_age())  # set_expiry() takes a float
        end = self._absolute_end()
        return age if end is None else min(age, math.ceil(end - time.time()))

    # --- reading ---------------------------------------------------------------------------------

    def _open(self) -> Claims | None:
        """Return the claims of `session_key`; None for a bad one, and say why in the log, once."""
        if self._token is None:
            return None
        try:
            return self.config.codec.read(self._token, time.time())
        except BadToken as error:
            self._log(error.reason)
            return None

    def _unpack(self, claims: Claims) -> dict[str, Any] | None:
        """Return the session data in `claims`, None (and a record) where it cannot be read."""
        try:
            return session_data.unpack(claims, self.config)
        except BadToken as error:
            self._log(error.reason)
            return None

    def _accept(self, claims: Claims | None, data: dict[str, Any] | None) -> dict[str, Any]:
        """Be the session of `claims` with `data`, or none at all where there is no data."""
        if claims is None or data is None:
            self._reset()
            return {}
        self._sid = claims.sid
        self._claims = claims
        self._auth_user = data.get(SESSION_KEY)
        return data

    def _look_for_end(self, claims: Claims) -> None:
        """Note whether a login moved the session just before, or during, this request."""
        self.overtaken = get_feed().moved(claims.sid, self._began)

    def _reset(self) -> None:
        """Let go of a session that is none, or has ended: what comes next is a new one."""
        self._token = None
        self._sid = self._claims = self._auth_time = self._auth_user = None
        self._expires_at = 0.0
        self.cookie_due = self.withholds_cookie = False

    def _log(self, reason: Reason) -> None:
        self.no_token = reason in _NO_TOKEN
        refusals.log(reason)

    def _claims_of(self, token: str | None) -> Claims | None:
        """Return the claims of an authentic, living token, without a word about others."""
        if token is None:
            return None
        if self._claims is not None and token == self.session_key:
            return self._claims
        try:
            return self.config.codec.read(token, time.time())
        except BadToken:
            return None

    def _revoked(self, claims: Claims) -> bool:
        return get_feed().revoked(claims.sid, claims.sub, claims.auth_time)

    # --- writing ---------------------------------------------------------------------------------

    def _settle_auth(self, data: dict[str, Any], now: float) -> None:
        """Let `auth_time` follow the user in `data`: none, the same as before, or a new one."""
        user = data.get(SESSION_KEY)
        if user is None:
            self._auth_time = None
        elif self._auth_time is None or user != self._auth_user:
            self._auth_user = user
            self._auth_time = self._login_time(now)
        self._auth_user = user

    def _login_time(self, now: float) -> float:
        """Return the `auth_time` of a login at `now`: none that counts as ended already.

        Servers' clocks differ; the one that ended the user's sessions may be ahead.
        """
        return max(round(now, 3), get_feed().ended_before(str(self._auth_user)))

    def _kept_auth_time(self) -> float | None:
        """Return the `auth_time` under which a session may take a new sid.

        Where it is the one that was kept when all others of its user were ended, it must not be
        taken for one of those under its new name.
        """
        if self._sid is None or self._auth_time is None:
            return self._auth_time
        return max(self._auth_time, get_feed().kept_since(self._sid, str(self._auth_user)))

    def _absolute_end(self) -> float | None:
        return policy.absolute_end(self._auth_time, self.config.absolute_age)

    def _idle_end(self, now: float) -> float:
        end = policy.idle_end(now, self.get_expiry_age(), self._absolute_end())
        if not self.passive or not self._expires_at:
            return end
        has_just_logged_in = (self._auth_time or 0.0) >= self._began - 0.001  # it is rounded
        return end if has_just_logged_in else min(end, self._expires_at)

    def _issue(self, data: dict[str, Any], now: float) -> None:
        """Make `session_key` a new token of this session."""
        self._issue_claims(self._token_claims(data, now), data, now)

    def _issue_claims(self, claims: Claims, data: dict[str, Any], now: float) -> None:
        """Make `session_key` a new token, which fits into a cookie, with `claims`."""
        token, claims = self._seal(claims, now)
        size = len(get_options().name) + len(token)
        if size > self.config.max_cookie_size:
            token, claims = self._too_large(claims, data, size, now)
        self.config.codec.keep(token, claims)
        self._token, self._claims = token, claims

    def _seal(self, claims: Claims, now: float) -> tuple[str, Claims]:
        """Return a token, and the claims that are in it."""
        issue = self.config.codec.issue
        try:
            return issue(claims, now), claims
        except ValueError:  # NaN, a lone surrogate: Django's serializer takes them, JSON does not
            if not isinstance(claims.d, dict):
                raise
            claims = claims._replace(d=session_data.as_text(claims.d, self.config))
            return issue(claims, now), claims

    # --- ending ----------------------------------------------------------------------------------

    def delete(self, session_key: str | None = None) -> None:
        """End the session that `session_key` names, this one by default."""
        claims = self._claims_of(self.session_key if session_key is None else session_key)
        if claims is not None:
            self._end(claims, "deleted")

    def flush(self) -> None:
        """End this session; what is stored afterwards begins a new one."""
        self.clear()
        self.delete()
        self._reset()
        self.ended_here = True

    async def aflush(self) -> None:
        """See flush()."""
        self.clear()
        await self.adelete()
        self._reset()
        self.ended_here = True

    @classmethod
    def clear_expired(cls) -> None:
        """Delete what has expired from all tables of the package, in batches."""
        from ..models.clearing import clear_expired

        clear_expired(cls)
