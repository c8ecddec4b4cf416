"""The token at the door: what came with a request, and what it opens.

How long a session lives is in expiry.py. An engine says how a session is read, written, extended
and ended.
"""

from __future__ import annotations

import asyncio
import marshal
import time
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import cached_property

from ..conf import Config
from ..devices.places import sightings
from ..exceptions import BadToken, Reason
from ..revocation.feed import Feed, get_feed
from ..tokens import session_key as keys
from ..tokens.claims import Claims
from ..tokens.codec import Codec
from . import data as session_data
from .api import SessionAPI
from .binding import Bound
from .knowledge import SETS_NO_COOKIE, Data, Ended, Identity
from .options import options
from .refusals import refusals

# Django takes none that is shorter.
_SHORTEST_KEY = 8

# What a request knows of its session is good for so long; a later answer asks again before it
# hands out a cookie: the session may have ended, or the browser may have a newer one.
FRESH_FOR = 0.1

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True)
class Key:
    """A session by its key, or by its name alone: for server code, and never judged as a token."""

    sid: str
    part: str | None = field(default=None, repr=False)


class Opening(Bound, SessionAPI):
    """A session that is opened by a token, or by a key that server code has."""

    # What this request has written in transactions: see belonging.py.
    _unsettled: tuple[Any, ...] = ()
    # While a task loads the session.
    _loads: asyncio.Event | None = None

    def __init__(self, session_key: str | Key | None = None) -> None:
        # As SessionBase does, with the serializer looked up once a process.
        self.accessed = False
        self.modified = False
        self.config: Config = options.config
        self.serializer = self.config.serializer
        self._began = time.time()
        self._given: str | Key | None = None
        self._token: str | None = None
        if session_key:
            self._take(session_key)

    def _take(self, value: Any) -> None:
        if isinstance(value, Key):
            self._given = value
        elif type(value) is str and len(value) >= _SHORTEST_KEY:
            self._given = self._token = value
        else:  # too short, or no text at all
            self.ended = Ended.NO_TOKEN
            refusals.log(Reason.MALFORMED)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the process and the request: keys, settings, streams."""
        state = self.__dict__.copy()
        of_request = ("environ", "cookies", "_unsettled", "_loads")
        for name in ("config", "serializer", "_codec", "_feed", "_seal_of_rows", *of_request):
            state.pop(name, None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.config = options.config
        self.serializer = self.config.serializer

    # --- what receivers and the middleware ask ----------------------------------------------------

    def mark_logout(self) -> None:
        """Note that the flush() to come is a logout: it ends the session in all its epochs."""
        self._logging_out = True

    @property
    def sets_no_cookie(self) -> bool:
        """Whether the browser's cookie is another request's to set."""
        return self.ended in SETS_NO_COOKIE

    def is_elsewhere(self) -> bool:
        """Tell whether a logged-in user's session, as loaded, is used where it was not before.

        As far as this process knows: see devices/places.py.
        """
        who = self.identity
        if who is None or who.auth_time is None or self.environ is None:
            return False
        return sightings.is_new(who.sid, self.environ, self.config)

    # --- reading ---------------------------------------------------------------------------------

    @cached_property
    def _codec(self) -> Codec:
        return self.config.codecs[self._feed.place]

    @cached_property
    def _feed(self) -> Feed:
        return get_feed()

    async def _aget_session(self, no_load: bool = False) -> dict[str, Any]:
        self.accessed = True
        while self._loads is not None:  # for another task, whose changes would be lost
            await self._loads.wait()
        if "_session_cache" in self.__dict__:
            return self._session_cache
        if no_load or self._given is None:
            self._session_cache = Data()
            return self._session_cache
        loads = self._loads = asyncio.Event()
        try:
            self._session_cache = await self.aload()
        finally:
            self._loads = None
            loads.set()
        return self._session_cache

    def _reads_only(self) -> bool:
        """Tell whether the request's method promises to change nothing.

        A websocket or a management command has none, and does not promise.
        """
        environ = self.environ
        if environ is None:
            return False
        method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE") or environ.get("REQUEST_METHOD")
        return method in _SAFE_METHODS and environ.get("REQUEST_METHOD") in _SAFE_METHODS

    def _came_with(self) -> Claims | Key | None:
        """Return what the session was asked for with; None for a bad token, with a record, once."""
        given = self._given
        if given is None or isinstance(given, Key):
            return given
        if "." not in given and (found := self._key_in(given)) is not None:
            return found
        try:
            return self._codec.recall(given, time.time())
        except BadToken as error:
            is_token = error.reason not in (Reason.MALFORMED, Reason.TOO_LONG)
            self.ended = Ended.REFUSED if is_token else Ended.NO_TOKEN
            refusals.log(error.reason)
            return None

    def _key_in(self, given: str) -> Key | None:
        """Return the session key that `given` is, None where it is none, or the engine has none."""
        found = keys.split(given)
        return None if found is None else Key(*found)

    def _named(self, session_key: str | None) -> Claims | Key | None:
        """Return what a key or a living token of server code names, without a word about others."""
        if not isinstance(session_key, str):
            return None
        found = self._key_in(session_key)
        if found is not None:
            return found
        try:
            return self._codec.recall(session_key, time.time())
        except BadToken:
            return None

    def _unpack(self, claims: Claims) -> Data | None:
        """Return the session data in `claims`, None (and a record) where it cannot be read."""
        if type(claims.d) is bytes:  # of a moment ago
            return Data(marshal.loads(claims.d))  # noqa: S302  # written by Codec.keep()
        try:
            data = session_data.unpack(claims, self.config)
        except BadToken as error:
            refusals.log(error.reason)
            return None
        if type(claims.d) is not str:
            self._codec.keep_read(claims, data)
        return data

    def _identity_in(self, claims: Claims) -> Identity:
        """Return whose session `claims` are of; what only a row knows is guessed."""
        at, proved_at = claims.auth_time, claims.pt
        return Identity(
            claims.sid,
            claims.ep,
            claims.sk,
            at,
            at if proved_at is None else proved_at or None,
            0 if at is None else min(claims.ep, round(at * 1000)),
            claims.sub,
        )

    def _is_revoked(self, claims: Claims) -> bool:
        return self._feed.revoked(claims.sid, claims.sub, claims.auth_time, claims.ep)

    def _be_nobody(self, ended: Ended | None = None) -> dict[str, Any]:
        """Let go of a session that is none, or has ended: what comes next is a new one."""
        if ended is not None and self.ended is not Ended.HERE:
            self.ended = ended
        self._given = self._token = None
        self._claims = self.identity = self.known = self.jkt = None
        self._expires_at = 0.0
        self._unsettled = ()
        self.cookie_due = self.began_epoch = False
        return Data()

    def _be_over(self, ended: Ended) -> dict[str, Any]:
        """Be what is left of a session that was open; return its data."""
        self._session_cache = self._be_nobody(ended)
        return self._session_cache

    def _have_passed(self, epoch: int) -> None:
        """Be of an epoch before the session's: what was under way as that began goes on."""
        if self._began * 1000 < epoch + 1:
            self.ended = Ended.PASSED
        else:
            self._be_over(Ended.JUST_PASSED)


def is_late(since: float, now: float) -> bool:
    """Tell whether what was known then may be outdated; so it may if the clock was set back."""
    return not 0 <= now - since <= FRESH_FOR


def new_epoch(after: int, now: float) -> int:
    """Return the epoch that begins at `now`: later than any before, whatever the clocks say."""
    return max(after + 1, int(now * 1000))
