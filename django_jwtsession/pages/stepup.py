"""Step-up: views that need a recent login ask for the password first.

    @fresh_login(max_age=60)
    def delete_account(request): ...

The page that asks is `jwtsession:confirm`. It moves the session's `auth_time`; the session and its
data stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import urlencode, urlsplit, urlunsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.generic import View

from ..backends.base import TokenSession

if TYPE_CHECKING:
    _View = View
else:
    _View = object

MAX_AGE = 300
# Where the session engine is another one, as in some projects' tests.
_CONFIRMED_AT = "_jwtsession_confirmed_at"

_ViewFunction = Callable[..., Any]


@overload
def fresh_login(view: _ViewFunction) -> _ViewFunction: ...
@overload
def fresh_login(*, max_age: float = MAX_AGE) -> Callable[[_ViewFunction], _ViewFunction]: ...
def fresh_login(view: _ViewFunction | None = None, *, max_age: float = MAX_AGE) -> Any:
    """Let a view, sync or async, be seen with a login that is at most `max_age` seconds old.

    Who is not logged in is led to the login page. Others give their password and come back: to
    the same page, or, from a form, to the page it was on. What a form sent is not sent again.
    """
    if view is None:
        return lambda view: fresh_login_view(view, max_age)
    return fresh_login_view(view, max_age)


def fresh_login_view(view: _ViewFunction, max_age: float) -> _ViewFunction:
    """Wrap a view; see fresh_login()."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def awrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = await aask_for_login(request, max_age)
            return refusal or await view(request, *args, **kwargs)

        return markcoroutinefunction(awrapped)

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return ask_for_login(request, max_age) or view(request, *args, **kwargs)

    return wrapped


class FreshLoginMixin(_View):
    """fresh_login() for class-based views; `max_login_age` in seconds."""

    max_login_age: float = MAX_AGE

    def get_return_url(self) -> str:
        """Return where the password page leads to."""
        return return_url(self.request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if self.view_is_async:
            return self._adispatch(request, *args, **kwargs)
        refusal = ask_for_login(request, self.max_login_age, self.get_return_url())
        return refusal or super().dispatch(request, *args, **kwargs)

    async def _adispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refusal = await aask_for_login(request, self.max_login_age, self.get_return_url())
        pending: Any = None if refusal else super().dispatch(request, *args, **kwargs)
        return refusal or await pending


def ask_for_login(
    request: HttpRequest, max_age: float, back: str | None = None
) -> HttpResponseBase | None:
    """Return the way to the login or password page, None where the login is fresh enough."""
    known = request.user.is_authenticated
    return _refusal(request, known, confirmed_at(request) if known else None, max_age, back)


async def aask_for_login(
    request: HttpRequest, max_age: float, back: str | None = None
) -> HttpResponseBase | None:
    """See ask_for_login()."""
    user = await request.auser()
    await request.session.aget(_CONFIRMED_AT)  # loads the session
    known = user.is_authenticated
    return _refusal(request, known, confirmed_at(request) if known else None, max_age, back)


def _refusal(
    request: HttpRequest, known: bool, at: float | None, max_age: float, back: str | None
) -> HttpResponseBase | None:
    if back is None:
        back = return_url(request)
    if not known:
        return redirect_to_login(back)
    if _is_recent(at, max_age):
        return None
    query = urlencode({REDIRECT_FIELD_NAME: back})
    return HttpResponseRedirect(f"{reverse('jwtsession:confirm')}?{query}")


def is_fresh(request: HttpRequest, max_age: float) -> bool:
    """Tell whether the user has proved who they are in the last `max_age` seconds."""
    return _is_recent(confirmed_at(request), max_age)


def _is_recent(at: float | None, max_age: float) -> bool:
    return at is not None and time.time() - at <= max_age


def confirmed_at(request: HttpRequest) -> float | None:
    """Return the Unix time at which the user last proved who they are, None if nobody knows."""
    session: Any = request.session
    if isinstance(session, TokenSession):
        return session.auth_time
    at: float | None = session.get(_CONFIRMED_AT)
    return at


def confirm(request: HttpRequest) -> None:
    """Note that the user has just proved who they are."""
    session: Any = request.session
    if isinstance(session, TokenSession):
        session.mark_login(request.META)
    else:
        session[_CONFIRMED_AT] = time.time()


def return_url(request: HttpRequest) -> str:
    """Return this page, or for a form the page that it was on, as a path of this site."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    referer = request.headers.get("Referer", "")
    if referer and url_has_allowed_host_and_scheme(referer, request.get_host()):
        parts = urlsplit(referer)
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if url_has_allowed_host_and_scheme(path, None):  # not //evil.example
            return path
    return request.path
