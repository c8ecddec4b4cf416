"""The request's way in and the response's way out; what a response needs is policy.respond()."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any, ClassVar, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import (
    AuthenticationMiddleware as DjangoAuthenticationMiddleware,
)
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from .backends import answer
from .backends.arrival import session_of
from .backends.base import TokenSession
from .backends.flows import Step, Steps, arun, run
from .backends.knowledge import Ended
from .backends.options import options
from .backends.passive import is_passive
from .backends.policy import Action, respond
from .conf import get_config, in_test_environment, require_keys
from .devices import clients as devices
from .history import later
from .history.events import note_change
from .moving import confirming, foreign, moving
from .revocation.feed import (
    arefresh_before_transaction,
    refresh_before_transaction,
)

# What carries an action out; its async twin has an "a" in front. False: the session has ended.
_METHODS = {
    Action.SAVE: "save",
    Action.REFRESH: "refresh",
    Action.REISSUE: "reissue",
    Action.HAND_OVER: "hand_over",
    Action.TOUCH: "touch",
}
_SETS_COOKIE = (Action.SAVE, Action.REFRESH, Action.REISSUE, Action.HAND_OVER)
_CHANGES_COOKIE = (*_SETS_COOKIE, Action.DELETE)


class SessionMiddleware(DjangoSessionMiddleware):
    """Django's SessionMiddleware with sliding refresh, native under WSGI and ASGI.

    Put it in the place of ``django.contrib.sessions.middleware.SessionMiddleware``. It works with
    every session engine; only this package's are refreshed.
    """

    # Asked where it must be known that code runs in no view.
    opens_later = True
    # What an app puts right inside of this middleware, whatever else the site has there.
    inside: ClassVar[Any] = None

    def __init__(self, get_response: Any) -> None:
        if self.inside is not None:
            get_response = self.inside(get_response)
            if hasattr(get_response, "process_view"):
                self.process_view = get_response.process_view
        super().__init__(get_response)
        # A site's own methods may ask the database, and are called as Django calls its own.
        mine, ours = type(self), SessionMiddleware
        self._begins_in_thread = mine.process_request is not ours.process_request
        is_own = mine.process_response is not ours.process_response
        self._ends_in_thread = is_own and mine.aprocess_response is ours.aprocess_response
        if issubclass(self.SessionStore, TokenSession):
            # A wrong setting is an error now, not in a request.
            require_keys(get_config(), allow_short=settings.DEBUG or in_test_environment())
            devices.warm()

    def __call__(self, request: Any) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        around = _begin(request)
        try:
            response: Any = self.process_request(request)  # a subclass may answer itself
            if not response and options.atomic_requests and _comes_with_session(request):
                refresh_before_transaction()
            response = response or self.get_response(request)
            if "_later" in request.__dict__:
                request._later.settle()
            return self.process_response(request, response)
        finally:
            _leave(request, around)

    async def __acall__(self, request: Any) -> HttpResponseBase:
        around = _begin(request)
        try:
            response: Any
            if self._begins_in_thread or (options.moves and moving.may_ask(request)):
                response = await sync_to_async(self.process_request)(request)
            else:
                response = self.process_request(request)  # makes an object, reads nothing
            if not response and options.atomic_requests and _comes_with_session(request):
                await arefresh_before_transaction()
            if not response:
                pending: Any = self.get_response(request)
                response = await pending
            if "_later" in request.__dict__ and request._later.after_view:
                await sync_to_async(request._later.settle)()
            if self._ends_in_thread:
                return await sync_to_async(self.process_response)(request, response)  # type: ignore[no-any-return]
            return await self.aprocess_response(request, response)  # type: ignore[no-any-return]
        except asyncio.CancelledError:  # the client is gone; no answer will be closed
            if _leave(request, around):
                await sync_to_async(request._later.finish)()
            raise
        finally:
            _leave(request, around)

    def process_request(self, request: HttpRequest) -> Any:
        header = request.META.get("HTTP_COOKIE", "")
        session: Any = moving.session_of(request, self.SessionStore) if options.moves else None
        if session is not None:
            pass
        elif options.was or header.count(f"{options.name}=") > 1:  # of a few requests
            session = session_of(self.SessionStore, request)
        if session is None:
            session = self.SessionStore(request.COOKIES.get(options.name))
        request.session = session
        if isinstance(session, TokenSession):
            session.environ, session.cookies = request.META, request.COOKIES

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        """Save, extend or delete the session as the request and the response ask for.

        What a view or middleware has put in the place of the session is left alone, as by Django.

        Raises SessionInterrupted (400) where the session was written to and has ended meanwhile.
        """
        return _settled(request, response) or run(answering(request, response))

    async def aprocess_response(self, request: HttpRequest, response: Any) -> Any:
        """See process_response()."""
        return _settled(request, response) or await arun(answering(request, response))


def _begin(request: Any) -> Any:
    """Say which request is being answered (see history/later.py); return the one around it.

    A view can have others answered, as those of a batch, and a site this middleware twice.
    """
    around = later.answering.get()
    if around is not None and around._is_answered:  # of a thread that has outlived it
        around = None
    request._is_answered = False
    later.answering.set(request)
    return around


def _leave(request: Any, around: Any) -> bool:
    """Let what comes now be done at once, and the rest when the answer is closed; tell of any."""
    request._is_answered = around is not request
    later.answering.set(around)
    if "_later" not in request.__dict__:
        return False
    request._later.wait()
    return True


def _comes_with_session(request: HttpRequest) -> bool:
    return options.name in request.COOKIES and isinstance(request.session, TokenSession)


class AuthenticationMiddleware(DjangoAuthenticationMiddleware):
    """Django's AuthenticationMiddleware without its thread hop under ASGI (150-250 us a request).

    Its `process_request` only sets two lazy attributes, nothing that could block.
    """

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        self.process_request(request)
        response: Any = self.get_response(request)
        return cast(HttpResponseBase, await response)


# --- the one procedure ---------------------------------------------------------------------------


def answering(request: HttpRequest, response: HttpResponseBase) -> Steps[HttpResponseBase]:
    """Yield what has to be done before the response goes out; return it with its headers."""
    session: Any = request.session
    is_ours = isinstance(session, TokenSession)
    elsewhere = is_ours and session.accessed and session.is_elsewhere()
    if is_ours and session.reused is not None:
        try:
            yield Step(session.report_reuse)
        except (DatabaseError, InterfaceError) as error:  # the next use of the copy tries again
            answer.tell_of_failure(error)
    if _may_confirm(session, response):
        try:
            yield Step(lambda: confirming.confirm(session))
        except (DatabaseError, InterfaceError) as error:  # the next request tries again
            answer.tell_of_failure(error)
    if options.save_every_request and not session.is_empty():
        yield _step(session, "get_expiry_age")  # loads it: only a living session is saved
    action = decide(request, response)
    if action is Action.SAVE and is_ours:
        session.passive = is_passive(request)
    method = _METHODS.get(action)
    if method is not None:
        is_foreign = options.moves and not is_ours
        step = Step(partial(foreign.save, session)) if is_foreign else _step(session, method)
        try:
            if (yield step) is False:
                action = Action.NOTHING
        except UpdateError:
            raise _interrupted() from None
        except (DatabaseError, InterfaceError) as error:
            if action is Action.SAVE:
                raise
            action = Action.NOTHING  # the view has answered; the next request tries again
            answer.tell_of_failure(error)
    if elsewhere or _may_have_changed(session):
        yield Step(lambda: _look_for_change(session))
    return _finish(action, request, response)


def _may_confirm(session: Any, response: HttpResponseBase) -> bool:
    """Tell whether to note now that the browser has the cookie of a session that has moved."""
    is_due = options.moves and confirming.is_due(session)
    return is_due and not answer.may_be_shared(response)  # which waits: it saves the session


def _step(session: Any, method: str) -> Step:
    return Step(getattr(session, method), getattr(session, "a" + method, None))


def decide(request: HttpRequest, response: HttpResponseBase) -> Action:
    """Gather what policy.respond() decides upon; no database is asked."""
    session: Any = request.session
    now = time.time()
    is_ours, empty = isinstance(session, TokenSession), session.is_empty()
    began = is_ours and session.began_epoch
    # Only a session that was read knows when it ends; those of other engines never say.
    read = is_ours and session.accessed and not session.modified and not empty
    read = read and session.is_due(now) and answer.optional_writes.may_be_tried()
    refresh_due = read and session.refresh_due(now)
    # Asked for by nearly no request: whether the visitor has done anything.
    passive = (refresh_due or options.save_every_request) and is_passive(request)
    saves = options.save_every_request and not (is_ours and (passive or session.is_behind(now)))
    write = session.modified or saves
    return respond(
        has_cookie=(empty or began) and _has_cookie(request),
        empty=empty,
        began=began,
        ended=not is_ours or session.ended is Ended.HERE,
        no_token=is_ours and session.ended is Ended.NO_TOKEN,
        write=write,
        used=session.accessed,
        status=response.status_code,
        passive=passive,
        shared=(empty or not write) and answer.may_be_shared(response),
        spoken=options.name in response.cookies,
        refresh_due=refresh_due,
        reissue_due=read and session.reissue_due(now),
        touch_due=read and session.touch_due(now),
    )


def _finish(action: Action, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Set or delete the cookie, and the headers that keep caches from mixing up visitors."""
    if action is Action.DELETE:
        answer.delete_session_cookie(response)
    elif action in _SETS_COOKIE and not getattr(request.session, "sets_no_cookie", False):
        session: Any = getattr(request.session, "goes_on_as", None) or request.session
        is_ours = isinstance(session, TokenSession)
        value = session.token if is_ours else session.session_key
        answer.set_session_cookie(response, value, _max_age(session))
    elif not request.session.accessed:
        return response
    if "Vary" in response.headers:
        patch_vary_headers(response, ("Cookie",))
    else:
        response.headers["Vary"] = "Cookie"
    if action in _CHANGES_COOKIE:
        if options.was:
            answer.delete_where_it_was(request, response)
        answer.keep_private(request, response)
    return response


# --- what is asked of a session -------------------------------------------------------------------


def _settled(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase | None:
    """Return the response if nothing is to be done for it, as for most; None to find out more.

    What a view or middleware has put in the place of the session is left alone, as by Django.
    """
    session: Any = getattr(request, "session", None)
    if not isinstance(session, TokenSession):
        is_session = all(hasattr(session, name) for name in ("accessed", "modified", "is_empty"))
        return None if is_session else response
    if session.modified or options.save_every_request:
        return None
    if options.moves and confirming.is_due(session):
        return None
    if not session.accessed:
        return None if session.ended is Ended.NO_TOKEN else response
    # Without a session a stale cookie may have to go.
    if session.identity is None or session.is_due(time.time()):
        return None
    if session.is_elsewhere():  # which it says once
        session.look_for_change = True
        return None
    return _finish(Action.NOTHING, request, response)


def _has_cookie(request: HttpRequest) -> bool:
    if options.name in request.COOKIES:
        return True
    return any(place.name in request.COOKIES for place in options.was)


def _may_have_changed(session: Any) -> bool:
    """Tell whether to look, now and then, if another device or address uses the session."""
    if not isinstance(session, TokenSession) or not session.look_for_change:
        return False
    return session.sid is not None and session.auth_time is not None


def _look_for_change(session: Any) -> None:
    note_change(session.sid, session.environ)


def _max_age(session: Any) -> float | None:
    age: float | None
    if isinstance(session, TokenSession):
        age = session.cookie_max_age()
    else:
        age = None if session.get_expire_at_browser_close() else session.get_expiry_age()
    return age


def _interrupted() -> SessionInterrupted:
    return SessionInterrupted(
        "The request's session was deleted before the request completed. "
        "The user may have logged out in a concurrent request, for example."
    )
