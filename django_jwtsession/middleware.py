"""The request's way in and the response's way out; what a response needs is policy.respond()."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.contrib.auth.middleware import (
    AuthenticationMiddleware as DjangoAuthenticationMiddleware,
)
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date

from . import devices
from .backends.base import TokenSession
from .conf import get_config
from .policy import Action, respond

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

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if issubclass(self.SessionStore, TokenSession):
            if not apps.is_installed("django_jwtsession"):
                raise ImproperlyConfigured('Add "django_jwtsession" to INSTALLED_APPS.')
            get_config().codec  # noqa: B018  # a wrong setting is an error now, not in a request
            devices.warm()

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        self.process_request(request)
        response: Any = self.get_response(request)
        return self.process_response(request, response)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        self.process_request(request)  # makes an object, reads nothing
        pending: Any = self.get_response(request)
        response: HttpResponseBase = await self.aprocess_response(request, await pending)
        return response

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        if isinstance(request.session, TokenSession):
            request.session.environ = request.META

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        """Save, extend or delete the session as the request and the response ask for.

        Raises SessionInterrupted (400) where the session was written to and has ended meanwhile.
        """
        session = getattr(request, "session", None)
        if session is None or _is_untouched(session):
            return response
        if settings.SESSION_SAVE_EVERY_REQUEST and not session.is_empty():
            session.get_expiry_age()  # loads it: only a living session is saved
        action = decide(request, response)
        if action in _METHODS:
            try:
                if getattr(session, _METHODS[action])() is False:
                    action = Action.NOTHING
            except UpdateError:
                raise _interrupted() from None
        return finish(action, request, response)

    async def aprocess_response(self, request: HttpRequest, response: Any) -> Any:
        """See process_response()."""
        session = getattr(request, "session", None)
        if session is None or _is_untouched(session):
            return response
        if settings.SESSION_SAVE_EVERY_REQUEST and not session.is_empty():
            await session.aget_expiry_age()
        action = decide(request, response)
        if action in _METHODS:
            try:
                if await getattr(session, "a" + _METHODS[action])() is False:
                    action = Action.NOTHING
            except UpdateError:
                raise _interrupted() from None
        return finish(action, request, response)


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
    now = time.time()
    # Only a session that was read knows when it ends; those of other engines never say.
    read = used and isinstance(session, TokenSession) and not session.is_empty()
    return respond(
        # Where the session has just ended, the browser's cookie may not be the one that came.
        has_cookie=settings.SESSION_COOKIE_NAME in request.COOKIES
        and not getattr(session, "just_ended", False),
        empty=session.is_empty(),
        write=session.modified or settings.SESSION_SAVE_EVERY_REQUEST,
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
    elif action in _SETS_COOKIE:
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
    response.set_cookie(
        settings.SESSION_COOKIE_NAME,
        value,
        max_age=max_age,
        expires=expires,
        domain=settings.SESSION_COOKIE_DOMAIN,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE or False,
        httponly=settings.SESSION_COOKIE_HTTPONLY or False,
        samesite=settings.SESSION_COOKIE_SAMESITE,
    )


def delete_session_cookie(response: HttpResponseBase) -> None:
    """Delete the session cookie with the attributes that browsers look at.

    A browser ignores a Set-Cookie without Secure and HttpOnly for a name with the prefix __Http- or
    __Host-Http-, also one that deletes: Django's delete_cookie() cannot remove such a cookie.
    """
    name = settings.SESSION_COOKIE_NAME
    response.delete_cookie(
        name,
        path=settings.SESSION_COOKIE_PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        samesite=settings.SESSION_COOKIE_SAMESITE,
    )
    cookie = response.cookies[name]
    if settings.SESSION_COOKIE_SECURE:
        cookie["secure"] = True
    if name.lower().startswith(("__http-", "__host-http-")):
        cookie["secure"] = cookie["httponly"] = True


def _is_untouched(session: Any) -> bool:
    """Tell that nothing can be due; without a key a stale cookie may have to go."""
    return bool(session.session_key) and not (
        session.accessed or session.modified or settings.SESSION_SAVE_EVERY_REQUEST
    )


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
