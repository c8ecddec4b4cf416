"""Django's session API, sync and async, and what a session of this package adds to it.

`session.sid` is the name that stays the same for a session's life, `session.token` what its cookie
holds, `session.session_key` the credential for server code. What each method does is an engine's
matter: see flows.py for how one is written once for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.contrib.sessions.backends.base import SessionBase

from ..models import clearing
from ..tokens.claims import Claims
from .flows import Flow, arun, run
from .knowledge import Data, Ended, Identity, Known


class SessionAPI(SessionBase):
    """A session whose cookie is a token (DESIGN section 2).

    `cookie_due` says that the browser's cookie is behind this session though nothing of it is left
    to save, `began_epoch` that this request has begun an epoch: other cookies open nothing now.
    `ended` says how the session that the request came with has ended, and so what may happen to the
    cookie. `environ` is the META of the request, where the middleware or a login gave it: rows and
    history take the device from it.
    """

    cookie_due = False
    began_epoch = False
    environ: Mapping[str, Any] | None = None
    # Whether it is time to look if another device or address uses the session: now and then.
    look_for_change = False
    ended = Ended.NOT
    known: Known = None
    identity: Identity | None = None
    # The row of a session that this request ended, since it came with an old copy of its cookie.
    reused: Any = None
    _given: Any = None
    _token: str | None = None
    _expires_at = 0.0
    _claims: Claims | None = None
    # What came and was not let in, since its epoch has passed: a login may take its session up.
    _earlier: Claims | None = None
    _logging_out = False
    _is_login = False

    if TYPE_CHECKING:  # Django's, but for its stubs
        _session_cache: dict[str, Any]

    # --- what an engine provides, beside exists() -------------------------------------------------

    def _loading(self) -> Flow[dict[str, Any]]:
        """Return the session data; {} for a key or token that opens nothing."""
        raise NotImplementedError

    def _saving(self, must_create: bool) -> Flow[None]:
        raise NotImplementedError

    def _creating(self) -> Flow[None]:
        raise NotImplementedError

    def _cycling(self) -> Flow[None]:
        raise NotImplementedError

    def _proving(self) -> Flow[None]:
        """Begin a new epoch after a proof of identity."""
        raise NotImplementedError

    def _renewing(self) -> Flow[None]:
        raise NotImplementedError

    def _flushing(self) -> Flow[None]:
        raise NotImplementedError

    def _logging_in(self) -> Flow[None]:
        raise NotImplementedError

    def _beginning_epoch(self, is_soft: bool, *, insists: bool = False) -> Flow[None]:
        raise NotImplementedError

    def _deleting(self, session_key: str | None) -> Flow[None]:
        raise NotImplementedError

    def _issue(self, now: float) -> None:
        """Make a new token of this session. Raises SessionTooLarge."""
        raise NotImplementedError

    def _extending(self, now: float) -> Flow[bool]:
        """Move the idle end as far as it goes, and the token with it; False if it has ended."""
        raise NotImplementedError

    def _freshening(self, now: float) -> Flow[bool]:
        """Make sure that a cookie may go out for this session; False if it must not."""
        raise NotImplementedError

    def _handing_over(self) -> Flow[bool]:
        """Have a token of the epoch that began, as it is stored; False where it is not."""
        raise NotImplementedError

    def _revalidating(self) -> Flow[None]:
        raise NotImplementedError

    # --- Django's API, sync and async -------------------------------------------------------------

    def load(self) -> dict[str, Any]:
        try:
            next(flow := self._loading())
        except StopIteration as stop:  # nothing is asked, as for most requests
            return cast(dict[str, Any], stop.value)
        return run(flow)

    async def aload(self) -> dict[str, Any]:
        return await arun(self._loading())

    def save(self, must_create: bool = False) -> None:
        """Write the session.

        Raises UpdateError where it has ended meanwhile, CreateError where `must_create` finds it
        there, SessionTooLarge where it fits into no cookie (engine `cookie`).
        """
        return run(self._saving(must_create))

    async def asave(self, must_create: bool = False) -> None:
        """See save()."""
        return await arun(self._saving(must_create))

    def create(self) -> None:
        """Begin a new session."""
        return run(self._creating())

    async def acreate(self) -> None:
        return await arun(self._creating())

    def cycle_key(self) -> None:
        """Begin a new epoch: tokens and keys from before it open nothing, the sid stays.

        Raises SessionInterrupted (400) where a login has ended meanwhile: its data must not come
        back.
        """
        return run(self._cycling())

    async def acycle_key(self) -> None:
        """See cycle_key()."""
        return await arun(self._cycling())

    def delete(self, session_key: str | None = None) -> None:
        """End the session that `session_key` (or a token) names, this one by default."""
        return run(self._deleting(session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        """See delete()."""
        return await arun(self._deleting(session_key))

    def flush(self) -> None:
        """End this session; what is stored afterwards begins a new one."""
        return run(self._flushing())

    async def aflush(self) -> None:
        """See flush()."""
        return await arun(self._flushing())

    @classmethod
    def clear_expired(cls) -> None:
        """Delete what has expired from all tables of the package, in batches."""
        clearing.clear_expired(cls)

    def is_empty(self) -> bool:
        return self._given is None and not self.__dict__.get("_session_cache")

    def _get_session(self, no_load: bool = False) -> dict[str, Any]:
        self.accessed = True
        if "_session_cache" not in self.__dict__:
            empty = no_load or self._given is None
            self._session_cache = Data() if empty else self.load()
        return self._session_cache

    _session = property(_get_session)

    def clear(self) -> None:
        super().clear()
        self._session_cache = Data()

    # --- the public additions to Django's API ----------------------------------------------------

    @property
    def sid(self) -> str | None:
        """The id of this session: 22 characters, the same for its whole life; None if unsaved.

        This is what to store beside a cart: it opens nothing. Loads the session; in async code read
        it after any `await session.aget(..)`.
        """
        self._get_session()
        return None if self.identity is None else self.identity.sid

    @property
    def epoch(self) -> int | None:
        """The epoch: the millisecond at which it began, None for a session that was not saved."""
        self._get_session()
        return None if self.identity is None else self.identity.epoch

    @property
    def token(self) -> str | None:
        """The value of the session's cookie, as far as one was received or made."""
        return self._token

    @property
    def auth_time(self) -> float | None:
        """Unix time at which the user was last authenticated; None for an anonymous session.

        That is the login, or a later proof of identity (OpenID Connect Core 2); see logged_in_at.
        """
        at, proved_at = self.logged_in_at, self.proved_at
        return at if at is None or proved_at is None else max(at, proved_at)

    @property
    def logged_in_at(self) -> float | None:
        """Unix time of the login, with milliseconds; None for an anonymous session."""
        self._get_session()
        return None if self.identity is None else self.identity.auth_time

    @property
    def proved_at(self) -> float | None:
        """Unix time at which the user last proved who they are: a login, a password asked again.

        None for an anonymous session, and for one whose login nobody saw.
        """
        self._get_session()
        return None if self.identity is None else self.identity.proved_at

    def prove(self, environ: Mapping[str, Any] | None = None) -> None:
        """Note that the user has just proved who they are, and begin a new epoch.

        Cookies from before it open nothing any more: the copy that somebody took is worthless.
        """
        self.environ = self.environ or environ
        run(self._proving())

    async def aprove(self, environ: Mapping[str, Any] | None = None) -> None:
        """See prove()."""
        self.environ = self.environ or environ
        await arun(self._proving())

    def renew(self) -> None:
        """Begin a new epoch, without a proof; nothing for a session that was never saved.

        Cookies from before it open nothing any more, and this request's answer has the new one.
        """
        run(self._renewing())

    async def arenew(self) -> None:
        """See renew()."""
        await arun(self._renewing())

    def revalidate(self) -> None:
        """Read the session from where the truth is, now; unsaved changes of this request stay."""
        run(self._revalidating())

    async def arevalidate(self) -> None:
        """See revalidate()."""
        await arun(self._revalidating())
