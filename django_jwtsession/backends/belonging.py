"""Whose session it is: login and proof follow the user in its data; and how it is ended.

And how it is what it was before, where a transaction was rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from time import sleep
from typing import Any, NamedTuple

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.http import HttpRequest

from ..conf import in_test_environment
from ..history import later, takeover
from ..models.retry import Written
from ..policy import LoginRefused, Policy
from ..tokens.claims import Claims
from . import data as session_data
from . import login_policy, people
from .data import AUTH_KEYS
from .flows import Flow, run
from .knowledge import Data, Ended, Identity, Known
from .login_policy import Admitted
from .opening import Opening

# How often, and each how many seconds after the other, to look for the hash of a new password.
_LOOKS, _BETWEEN_LOOKS = 12, 0.02
# The sids for which threads look, of two sessions at most: a new SECRET_KEY changes all hashes.
_looking: list[str] = []


class Before(NamedTuple):
    """What a session was before this request began an epoch of it; `auth` are its AUTH_KEYS."""

    identity: Identity
    ended: Ended
    began_epoch: bool
    auth: Data
    claims: Claims | None
    token: str | None

    def __repr__(self) -> str:
        """Show no token: tracebacks go to error trackers."""
        return f"<Before {self.identity!r}>"


class Unsettled(NamedTuple):
    """What was written in a transaction, with what was known before; and the session, if needed."""

    written: Written
    known: Known
    before: Before | None


class Belonging(Opening):
    """The part of TokenSession that knows whose session it is, and ends it."""

    # Whether the user has asked, at the login, to be kept signed in when the browser closes.
    wants_persistent = False
    _admitted: Admitted | None = None
    _idle_before: float = 0

    # Whether this request has stored a user here, as login() does, and the signal is to come.
    has_stored_user = False
    _login_is_to_come = False

    # --- login ------------------------------------------------------------------------------------

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if key == SESSION_KEY:
            self.has_stored_user = self._login_is_to_come = True

    async def aset(self, key: str, value: Any) -> None:
        await super().aset(key, value)
        if key == SESSION_KEY:
            self.has_stored_user = self._login_is_to_come = True

    def has_login(self) -> bool:
        """Tell, once, whether a user has just been stored here, as login() does before its signal.

        APIs that give out tokens send the signal as well, with whatever session the request has.
        """
        is_to_come, self._login_is_to_come = self._login_is_to_come, False
        return is_to_come

    def admit(self, user: Any, request: HttpRequest) -> None:
        """Ask POLICY, once a request, what holds for the login of a user that is to follow.

        Raises LoginRefused where it allows no session more, ImproperlyConfigured where it returns
        no Policy.
        """
        name = user._meta.pk.value_to_string(user)
        if self._admitted is not None and self._admitted.user == name:
            return
        asks = self.config.policy is not None
        policy = login_policy.ask(self.config, user, request) if asks else login_policy.NONE
        data = self._get_session()
        is_again = self.identity is not None and self.identity.user == name
        refuses = policy.on_limit == "refuse" and not is_again
        if refuses and not takeover.is_by_staff(request, data) and self._is_full(name, policy):
            raise LoginRefused("This user has as many sessions as are allowed.")
        self._admitted = Admitted(name, policy, is_again)

    def _is_full(self, user: str, policy: Policy) -> bool:
        """Tell whether a user has as many sessions as the policy allows, beside this one."""
        return False  # without rows nobody counts

    def _keep_policy(self) -> None:
        """Keep the policy in the data, beside what login() has stored there."""
        data = self._get_session()
        before = data.pop(session_data.POLICY_KEY, {})
        self._idle_before = before.get("idle", 0)
        policy = self._admitted.policy if self._admitted else login_policy.NONE
        if policy is login_policy.NONE and not self.wants_persistent:
            return
        if kept := login_policy.kept(policy, self.wants_persistent):
            data[session_data.POLICY_KEY] = kept

    def mark_login(self, environ: Mapping[str, Any]) -> None:
        """Note a login, also one of the user who is logged in already; see receivers.py."""
        self.environ = self.environ or environ
        self._keep_policy()
        run(self._logging_in())
        # What follows from a login is due once all that the view stores is written.
        self._is_login = self.modified = True

    # --- writing ---------------------------------------------------------------------------------

    def _settle_auth(self, data: dict[str, Any], now: float) -> None:
        """Let the times follow the user in `data`: none, the same as before, or a new one.

        A login that only stores the user's id, as shims and tests do, is no proof.
        """
        who, user = self._identity(), session_data.user_of(data)
        after: dict[str, Any]
        if data.get(SESSION_KEY) is None:
            after = {"user": None, "auth_time": None, "proved_at": None}
        elif who.auth_time is None or user != who.user:
            at = self._login_time(now, user)
            after = {"user": user, "auth_time": at, "proved_at": at if self._is_login else None}
            after["login_epoch"] = who.epoch
        else:
            return
        self.identity = who.but(**after)

    def _identity(self) -> Identity:
        assert self.identity is not None
        return self.identity

    def _login_time(self, now: float, user: str | None) -> float:
        """Return the `auth_time` of a login at `now`: none that counts as ended already.

        Servers' clocks differ; the one that ended the user's sessions may be ahead.
        """
        return max(round(now, 3), self._feed.ended_before(str(user)))

    def _logging_in(self) -> Flow[None]:
        """Move the times to now, under an epoch of this request's own."""
        yield
        self._go_back(logs_in=True)
        self._feed.refresh(0.0)
        data = self._get_session()
        if self.identity is None and not self._take_up(data):
            run(self._creating())
            self.began_epoch = True
        before, user = self._identity(), session_data.user_of(data)
        is_again = before.user == user and before.auth_time is not None and not self.began_epoch
        if not self.began_epoch:
            run(self._beginning_epoch(is_soft=is_again))
        who = self._identity()
        at = self._login_time(time.time(), user)
        # Who logs in again goes on with this login: a logout by a cookie from before ends it.
        login_epoch = before.login_epoch if is_again else who.epoch
        self.identity = who.but(user=user, auth_time=at, proved_at=at, login_epoch=login_epoch)

    def _take_up(self, data: dict[str, Any]) -> bool:
        """Go on with the session of `_earlier`, where it is one of the user who logs in now."""
        return False

    def _renewing(self) -> Flow[None]:
        yield
        self._get_session()
        self._go_back()
        if self.identity is not None and not self.began_epoch:
            run(self._beginning_epoch(is_soft=False))
            self.modified = True

    def _has_new_password(self, before: Mapping[str, Any]) -> bool:
        """Tell whether the session's hash is that of the user's password now, and was not before.

        Then what this request did came last: of a form that is sent twice at once, say. A hash that
        another SECRET_KEY has made of the same password says nothing: each request makes it.
        """
        data, who = self._get_session(), self.identity
        if who is None or who.user is None:
            return False
        backend = str(data.get(BACKEND_SESSION_KEY, ""))
        now, then = (str(each.get(HASH_SESSION_KEY, "")) for each in (data, before))
        lets_in = partial(people.lets_in, backend, who.user)
        return lets_in(now) and not lets_in(then)

    # --- a transaction that is rolled back --------------------------------------------------------

    def _before(self) -> Before:
        data, who = self._get_session(), self.identity
        assert who is not None
        auth = Data({key: data[key] for key in AUTH_KEYS & data.keys()})
        return Before(who, self.ended, self.began_epoch, auth, self._claims, self._token)

    def _note_unsettled(
        self, written: Written | None, known: Known, before: Before | None = None
    ) -> None:
        """Note what was written, None for what counts already."""
        if written is not None:
            self._unsettled += (Unsettled(written, known, before),)

    def _go_back(self, logs_in: bool = False) -> None:
        """Know what was known before the saves that were rolled back: what they had is unsaved.

        And be in the epoch of before, which may be one that this request has begun as well: the
        browser wants its cookie. Not with the user of a login that was rolled back, unless one that
        follows is to begin an epoch of its own (`logs_in`).
        """
        while self._unsettled and self._unsettled[-1].written.is_undone():
            *rest, (_, self.known, before) = self._unsettled
            self._unsettled = tuple(rest)
            data = self._get_session()
            if before is None:
                continue
            if logs_in or before.identity.user == session_data.user_of(data):
                self.identity, self.ended, self.began_epoch, auth, self._claims, token = before
                self._given = self._token = token
                if not logs_in:
                    for key in AUTH_KEYS:
                        data.pop(key, None)
                    data.update(auth)

    # --- ending ----------------------------------------------------------------------------------

    def _flushing(self) -> Flow[None]:
        if self.identity is None and self._given is not None:
            # Not loaded: it is ended as what came names it.
            yield
        elif self.identity is not None or self._earlier is not None:
            yield
        self._wait_for_new_hash()
        # Who asks for the end of a session that had ended already wants its cookie to go as well.
        goes = self._ends_own() or self.ended is Ended.REFUSED
        # Else it goes on in an epoch that began meanwhile, and the browser has that one's cookie.
        ended = Ended.HERE if goes else Ended.JUST_PASSED if self.identity is not None else None
        self.clear()
        self._be_nobody(ended)
        self._earlier = None

    def _end_again_if_undone(self, written: Written | None, again: Callable[[], Any]) -> None:
        """End the request's session once more after the view, if that is rolled back till then.

        The browser loses its cookie all the same, and a copy must not outlive it.
        """
        if written is None or (todo := later.current()) is None:
            return
        if getattr(todo.request, "session", None) is self:
            todo.after_view.append(partial(self._end_again, written, again))

    def _end_again(self, written: Written, again: Callable[[], Any], request: HttpRequest) -> None:
        if written.is_undone() and self.ended is Ended.HERE and self.is_empty():
            again()

    def _wait_for_new_hash(self) -> None:
        """Wait a moment for a view that has stored a new password and not told its session yet.

        Beside it Django's get_user() finds a hash that no longer fits, and flushes the session that
        is to stay.
        """
        data, who = self.__dict__.get("_session_cache", {}), self.identity
        if who is None or who.user is None or self._logging_out or self.has_stored_user:
            return
        backend, auth_hash = (data.get(key) for key in (BACKEND_SESSION_KEY, HASH_SESSION_KEY))
        if in_test_environment() or not backend or not auth_hash:
            return
        if not people.has_new_password(backend, who.user, auth_hash):
            return
        if len({*_looking, who.sid}) > 2:
            return
        _looking.append(who.sid)
        try:
            for _ in range(_LOOKS):
                if self._has_gone_on():
                    break
                sleep(_BETWEEN_LOOKS)
        finally:
            _looking.remove(who.sid)

    def _has_gone_on(self) -> bool:
        """Tell whether this session has ended, or has begun another epoch, as is true now."""
        raise NotImplementedError

    def _ends_own(self) -> bool:
        """End the session of this request, if it was let in; tell whether it was."""
        raise NotImplementedError
