"""Step-up: views that need a recent login, or another proof of who one is, ask for it first.

    @fresh_login(max_age=60, methods={"otp", "hwk"})
    def delete_account(request): ...

The page that asks is `jwtsession:confirm`. All proofs go through confirm(); the session and its
data stay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import urlencode, urlsplit, urlunsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
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
# On a guarded view: what it asks for.
_WANTED = "_jwtsession_wanted"
# What was proved, and when (Unix time): {"pwd": 1795600000.0}.
_PROOFS = "_jwtsession_proofs"

_ViewFunction = Callable[..., Any]


@dataclass(frozen=True)
class Wanted:
    """A proof at most `max_age` seconds old, by one of `methods`; empty: a login does as well."""

    max_age: float = MAX_AGE
    methods: frozenset[str] = frozenset()


@overload
def fresh_login(view: _ViewFunction) -> _ViewFunction: ...
@overload
def fresh_login(
    *, max_age: float = MAX_AGE, methods: Iterable[str] = ()
) -> Callable[[_ViewFunction], _ViewFunction]: ...
def fresh_login(
    view: _ViewFunction | None = None, *, max_age: float = MAX_AGE, methods: Iterable[str] = ()
) -> Any:
    """Let a view, sync or async, be seen with a login that is at most `max_age` seconds old.

    Arguments: with `methods` (see confirmers.py) a login is not enough; one of them must have been
    proved since.

    Who is not logged in is led to the login page. Others prove who they are and come back: to the
    same page, or, from a form, to the page it was on. What a form sent is not sent again.
    """
    wanted = Wanted(max_age, frozenset(methods))
    if view is None:
        return lambda view: _guarded(view, wanted)
    return _guarded(view, wanted)


def _guarded(view: _ViewFunction, wanted: Wanted) -> _ViewFunction:
    if iscoroutinefunction(view):

        @wraps(view)
        async def awrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = await aask_for_proof(request, wanted)
            return refusal or await view(request, *args, **kwargs)

        setattr(awrapped, _WANTED, wanted)
        return markcoroutinefunction(awrapped)

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return ask_for_proof(request, wanted) or view(request, *args, **kwargs)

    setattr(wrapped, _WANTED, wanted)
    return wrapped


def wanted_by(view: Any) -> Wanted | None:
    """Return what a view of the URLconf asks for, None if it asks for nothing."""
    of_class = getattr(view, "view_class", None)
    if isinstance(of_class, type) and issubclass(of_class, FreshLoginMixin):
        return Wanted(of_class.max_login_age, frozenset(of_class.login_methods))
    found: Wanted | None = getattr(view, _WANTED, None)
    return found


class FreshLoginMixin(_View):
    """fresh_login() for class-based views; `max_login_age` in seconds."""

    max_login_age: float = MAX_AGE
    login_methods: Collection[str] = ()

    def get_return_url(self) -> str:
        """Return where the page that asks leads to."""
        return return_url(self.request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        wanted = Wanted(self.max_login_age, frozenset(self.login_methods))
        if self.view_is_async:
            return self._adispatch(wanted, request, *args, **kwargs)
        refusal = ask_for_proof(request, wanted, self.get_return_url())
        return refusal or super().dispatch(request, *args, **kwargs)

    async def _adispatch(
        self, wanted: Wanted, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> Any:
        refusal = await aask_for_proof(request, wanted, self.get_return_url())
        pending: Any = None if refusal else super().dispatch(request, *args, **kwargs)
        return refusal or await pending


def ask_for_proof(
    request: HttpRequest, wanted: Wanted, back: str | None = None
) -> HttpResponseBase | None:
    """Return the way to the login or to the page that asks, None where neither is needed."""
    known = request.user.is_authenticated
    return _refusal(request, known, known and _is_met(request, wanted), wanted, back)


async def aask_for_proof(
    request: HttpRequest, wanted: Wanted, back: str | None = None
) -> HttpResponseBase | None:
    """See ask_for_proof()."""
    user = await request.auser()
    await request.session.aget(_CONFIRMED_AT)  # loads the session
    known = user.is_authenticated
    return _refusal(request, known, known and _is_met(request, wanted), wanted, back)


def _refusal(
    request: HttpRequest, known: bool, met: bool, wanted: Wanted, back: str | None
) -> HttpResponseBase | None:
    if met:
        return None
    if back is None:
        back = return_url(request)
    return (
        HttpResponseRedirect(confirm_url(request, wanted, back))
        if known
        else (redirect_to_login(back))
    )


def confirm_url(request: HttpRequest, wanted: Wanted, back: str) -> str:
    """Return the address of the page that asks, which leads to `back`, or to where one was."""
    query = {REDIRECT_FIELD_NAME: back}
    if wanted.methods:
        query["methods"] = ",".join(sorted(wanted.methods))
    if (was_on := _referring_path(request)) and was_on != back:
        query["back"] = was_on
    return f"{reverse('jwtsession:confirm')}?{urlencode(query)}"


def is_fresh(request: HttpRequest, max_age: float, methods: Iterable[str] = ()) -> bool:
    """Tell whether the user has proved who they are in the last `max_age` seconds.

    Arguments: `methods` as in fresh_login().
    """
    return _is_met(request, Wanted(max_age, frozenset(methods)))


def _is_met(request: HttpRequest, wanted: Wanted) -> bool:
    at = confirmed_at(request)
    if wanted.methods:
        found = proofs(request)
        at = max((found[name] for name in wanted.methods & found.keys()), default=None)
    return at is not None and time.time() - at <= wanted.max_age


def confirmed_at(request: HttpRequest) -> float | None:
    """Return the Unix time at which the user last proved who they are, None if nobody knows."""
    session: Any = request.session
    if isinstance(session, TokenSession):
        return session.proved_at
    at: float | None = session.get(_CONFIRMED_AT)
    return at


def proofs(request: HttpRequest) -> dict[str, float]:
    """Return what the user has proved in this session, and when: {"pwd": <Unix time>}."""
    found: dict[str, float] = request.session.get(_PROOFS) or {}
    return found


def confirm(request: HttpRequest, amr: Iterable[str] = ()) -> None:
    """Note that the user has just proved who they are.

    Arguments: `amr` is what was proved, such as {"pwd"} or {"otp"} (RFC 8176). A site that asks for
    a second factor at the login calls this after it.
    """
    session: Any = request.session
    if isinstance(session, TokenSession):
        session.prove(request.META)
    else:
        session[_CONFIRMED_AT] = time.time()
    if proved := dict.fromkeys(amr, time.time()):
        session[_PROOFS] = {**proofs(request), **proved}


aconfirm = sync_to_async(confirm)


def return_url(request: HttpRequest) -> str:
    """Return this page, or for a form the page that it was on, as a path of this site."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    return _referring_path(request) or request.path


def _referring_path(request: HttpRequest) -> str:
    """Return the path of this site's page that the request came from, "" for none."""
    referer = request.headers.get("Referer", "")
    if referer and url_has_allowed_host_and_scheme(referer, request.get_host()):
        parts = urlsplit(referer)
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if url_has_allowed_host_and_scheme(path, None):  # not //evil.example
            return path
    return ""
