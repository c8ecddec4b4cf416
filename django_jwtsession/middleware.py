"""The request's way in and the response's way out; what a response needs is policy.respond()."""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import (
    AuthenticationMiddleware as DjangoAuthenticationMiddleware,
)
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date

from .backends.base import TokenSession
from .backends.options import Options, get_options
from .backends.policy import Action, respond
from .conf import in_test_environment, require_keys
from .devices import clients as devices
from .history import later
from .revocation.feed import arefresh_before_transaction, refresh_before_transaction

# What carries an action out; its async twin has an "a" in front. False: the session has ended.
_METHODS = {
    Action.SAVE: "save",
    Action.REFRESH: "refresh",
    Action.REISSUE: "reissue",
    Action.TOUCH: "touch",
}
_SETS_COOKIE = frozenset({Action.SAVE, Action.REFRESH, Action.REISSUE})
_CHANGES_COOKIE = _SETS_COOKIE | {Action.DELETE}


class SessionMiddleware(DjangoSessionMiddleware):
    """Django's SessionMiddleware with sliding refresh, native under WSGI and ASGI.

    Put it in the place of ``django.contrib.sessions.middleware.SessionMiddleware``. It works with
    every session engine; only this package's are refreshed.
    """

    # Asked where it must be known that code runs in no view.
    opens_later = True

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if issubclass(self.SessionStore, TokenSession):
            # A wrong setting is an error now, not in a request.
            require_keys(allow_short=settings.DEBUG or in_test_environment())
            devices.warm()

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        todo = later.begin(request)
        try:
            self.process_request(request)
            if _comes_with_session(request):
                refresh_before_transaction()
            response: Any = self.get_response(request)
            if todo.after_view:
                todo.settle()
            return self.process_response(request, response)
        finally:
            todo.leave()

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        todo = later.begin(request)
        try:
            self.process_request(request)  # makes an object, reads nothing
            if _comes_with_session(request):
                await arefresh_before_transaction()
            pending: Any = self.get_response(request)
            response: HttpResponseBase = await pending
            if todo.after_view:
                await sync_to_async(todo.settle)()
            return await self.aprocess_response(request, response)  # type: ignore[no-any-return]
        except asyncio.CancelledError:  # the client is gone; no answer will be closed
            await sync_to_async(todo.finish)()
            raise
        finally:
            todo.leave()

    def process_request(self, request: HttpRequest) -> None:
        session: Any = self.SessionStore(request.COOKIES.get(get_options().name))
        request.session = session
        if isinstance(session, TokenSession):
            session.environ = request.META

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        """Save, extend or delete the session as the request and the response ask for.

        Raises SessionInterrupted (400) where the session was written to and has ended meanwhile.
        """
        session: Any = getattr(request, "session", None)
        if session is None:
            return response
        elsewhere = session.accessed and _is_elsewhere(session)
        if not elsewhere and _is_nothing_due(session):
            return finish(Action.NOTHING, request, response)
        if getattr(session, "reused", None) is not None:
            session.report_reuse()
        if get_options().save_every_request and not session.is_empty():
            session.get_expiry_age()  # loads it: only a living session is saved
        action = decide(request, response)
        if action in _METHODS:
            try:
                if getattr(session, _METHODS[action])() is False:
                    action = Action.NOTHING
            except UpdateError:
                raise _interrupted() from None
        if elsewhere or _may_have_changed(session):
            _look_for_change(session)
        return finish(action, request, response)

    async def aprocess_response(self, request: HttpRequest, response: Any) -> Any:
        """See process_response()."""
        session: Any = getattr(request, "session", None)
        if session is None:
            return response
        elsewhere = session.accessed and _is_elsewhere(session)
        if not elsewhere and _is_nothing_due(session):
            return finish(Action.NOTHING, request, response)
        if getattr(session, "reused", None) is not None:
            await sync_to_async(session.report_reuse)()
        if get_options().save_every_request and not session.is_empty():
            await session.aget_expiry_age()
        action = decide(request, response)
        if action in _METHODS:
            try:
                if await getattr(session, "a" + _METHODS[action])() is False:
                    action = Action.NOTHING
            except UpdateError:
                raise _interrupted() from None
        if elsewhere or _may_have_changed(session):
            await sync_to_async(_look_for_change)(session)
        return finish(action, request, response)


def _comes_with_session(request: HttpRequest) -> bool:
    return get_options().name in request.COOKIES and isinstance(request.session, TokenSession)


class AuthenticationMiddleware(DjangoAuthenticationMiddleware):
    """Django's AuthenticationMiddleware without its thread hop under ASGI (150-250 us a request).

    Its `process_request` only sets two lazy attributes, nothing that could block.
    """

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        self.process_request(request)
        response: Any = self.get_response(request)
        return cast(HttpResponseBase, await response)


def decide(request: HttpRequest, response: HttpResponseBase) -> Action:
    """Gather what policy.respond() decides upon; no database is asked."""
    session: Any = request.session
    used = session.accessed
    options = get_options()
    now = time.time()
    write = session.modified or options.save_every_request
    # Only a session that was read knows when it ends; those of other engines never say.
    read = used and not write and isinstance(session, TokenSession) and not session.is_empty()
    return respond(
        # Where the session has just ended, the browser's cookie may not be the one that came.
        has_cookie=options.name in request.COOKIES and not getattr(session, "just_ended", False),
        empty=session.is_empty(),
        write=write,
        used=used,
        status=response.status_code,
        prefetch=request.META.get("HTTP_SEC_PURPOSE", "").startswith("prefetch"),
        refresh_due=read and session.refresh_due(now),
        reissue_due=read and session.reissue_due(now),
        touch_due=read and session.touch_due(now),
    )


def finish(action: Action, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Set or delete the cookie, and the headers that keep caches from mixing up visitors."""
    if action is Action.DELETE:
        delete_session_cookie(response)
    elif action in _SETS_COOKIE and not getattr(request.session, "withholds_cookie", False):
        session: Any = request.session
        max_age = _max_age(session)
        expires = None if max_age is None else _date(int(time.time()) + max_age)
        set_session_cookie(response, session.session_key, max_age, expires)
    elif not request.session.accessed:
        return response
    if "Vary" in response.headers:
        patch_vary_headers(response, ("Cookie",))
    else:
        response.headers["Vary"] = "Cookie"
    if action in _CHANGES_COOKIE and not response.has_header("Cache-Control"):
        response.headers["Cache-Control"] = "private, no-store"
    return response


def set_session_cookie(
    response: HttpResponseBase, value: str, max_age: int | None, expires: str | None
) -> None:
    """Set the session cookie as the settings describe it."""
    options = get_options()
    response.cookies[options.name] = value
    cookie = response.cookies[options.name]
    # At once, not one by one as in set_cookie().
    dict.update(cookie, _attributes_to_set(options))
    if max_age is not None:
        dict.update(cookie, {"max-age": max_age, "expires": expires})


def delete_session_cookie(response: HttpResponseBase) -> None:
    """Delete the session cookie with the attributes that browsers look at.

    A browser ignores a Set-Cookie without Secure and HttpOnly for a name with the prefix __Http- or
    __Host-Http-, also one that deletes: Django's delete_cookie() cannot remove such a cookie.
    """
    options = get_options()
    response.cookies[options.name] = ""
    dict.update(response.cookies[options.name], _attributes_to_delete(options))


def _is_elsewhere(session: Any) -> bool:
    """Tell whether this process sees the session on a device or at an address new to it."""
    return isinstance(session, TokenSession) and session.is_elsewhere()


def _may_have_changed(session: Any) -> bool:
    """Tell whether to look, now and then, if another device or address uses the session."""
    if not isinstance(session, TokenSession) or not session.look_for_change:
        return False
    return session.sid is not None and session.auth_time is not None


def _look_for_change(session: Any) -> None:
    from .history.events import (
        note_change,  # the models, which settings that name this module have not
    )

    note_change(session.sid, session.environ)


@lru_cache(8)
def _attributes_to_set(options: Options) -> dict[str, Any]:
    """Return what Django's set_cookie() makes of the settings."""
    response = HttpResponseBase()
    response.set_cookie(
        "name",
        domain=options.domain,
        path=options.path,
        secure=options.secure,
        httponly=options.httponly,
        samesite=options.samesite,
    )
    return dict(response.cookies["name"])


@lru_cache(8)
def _attributes_to_delete(options: Options) -> dict[str, Any]:
    """Return what Django's delete_cookie() makes of the settings, and what it leaves out."""
    response, name = HttpResponseBase(), options.name
    response.delete_cookie(
        name, path=options.path, domain=options.domain, samesite=options.samesite
    )
    attributes: dict[str, Any] = dict(response.cookies[name])
    if options.secure:
        attributes["secure"] = True
    if name.lower().startswith(("__http-", "__host-http-")):
        attributes["secure"] = attributes["httponly"] = True
    return attributes


def _is_nothing_due(session: Any) -> bool:
    """Tell what decide() finds for most requests, without gathering all that it asks for."""
    if session.modified or get_options().save_every_request or not session.session_key:
        return False  # without a key a stale cookie may have to go
    if not session.accessed:
        return True
    return isinstance(session, TokenSession) and not session.is_due(time.time())


@lru_cache(8)
def _date(second: int) -> str:
    return http_date(second)


def _max_age(session: Any) -> int | None:
    if isinstance(session, TokenSession):
        return session.cookie_max_age()
    return None if session.get_expire_at_browser_close() else session.get_expiry_age()


def _interrupted() -> SessionInterrupted:
    return SessionInterrupted(
        "The request's session was deleted before the request completed. "
        "The user may have logged out in a concurrent request, for example."
    )
