"""The app's two hooks in the core, what it notes at logins and logouts, and its checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.module_loading import import_string

from ...backends.base import TokenSession
from ...middleware import SessionMiddleware
from ..layer import layer
from . import proofs, views
from .conf import problems, setting
from .cookie import cookie_name, take_away
from .decorators import require_proof
from .models import Binding

_NO_ROW = "contrib.dbsc keeps keys beside rows: write a SESSION_ENGINE that has them, hybrid or db."
_ELSEWHERE = "The proof is a cookie of one host: leave SESSION_COOKIE_DOMAIN and .._PATH alone."
_TOO_SHORT = 'Browsers sign six times in nine minutes: write a DBSC["MAX_AGE"] of 300 or more.'


def device_bound_layer(get_response: Callable[..., Any]) -> Any:
    """Return what stands inside of the session middleware.

    The protocol's pages are answered there, before anything redirects them or asks for a login:
    browsers end a binding at that.
    """
    if found := problems():
        raise ImproperlyConfigured(found[0])
    pages = {views.START: views.start, proofs.REFRESH: views.refresh}
    return layer(get_response, pages, _ask_rule if setting("REQUIRE") else None, _is_unsigned)


def _is_unsigned(request: HttpRequest) -> bool:
    """Tell whether a session that is bound opens once its browser has signed, and not before."""
    return setting("MODE") == "strict" and cookie_name() not in request.COOKIES


def _ask_rule(request: HttpRequest) -> None:
    if import_string(setting("REQUIRE"))(request):
        require_proof(request)


def on_login(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    session: Any = getattr(request, "session", None)
    # APIs that give out tokens send the signal as well: who has a copy of a cookie, and an account
    # to get a token for, is offered nothing.
    if getattr(session, "has_rows", False) and session.has_stored_user:
        session.finish = views.offer


def on_logout(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    session: Any = getattr(request, "session", None)
    if isinstance(session, TokenSession):
        session.finish = partial(_end_binding, session.sid)  # type: ignore[attr-defined]


def _end_binding(sid: str | None, request: HttpRequest, response: Any) -> None:
    """End the binding of a session with it; where only an API's token has ended, it goes on."""
    session: Any = request.session
    if sid is None or session.sid != sid:
        take_away(request, response)
        Binding.drop(sid)


def check_dbsc(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the app's settings, and those that it depends on."""
    found: list[Any] = [checks.Error(text, id="django_jwtsession.E030") for text in problems()]
    if not getattr(import_string(f"{settings.SESSION_ENGINE}.SessionStore"), "has_rows", False):
        found.append(checks.Error(_NO_ROW, id="django_jwtsession.E031"))
    if settings.SESSION_COOKIE_DOMAIN or settings.SESSION_COOKIE_PATH != "/":
        found.append(checks.Warning(_ELSEWHERE, id="django_jwtsession.W030"))
    if not found and setting("MAX_AGE") < 300:
        found.append(checks.Warning(_TOO_SHORT, id="django_jwtsession.W031"))
    return found


def connect() -> None:
    """Be asked by the core from now on."""
    TokenSession.bindings = proofs.DeviceBindings()
    SessionMiddleware.inside = staticmethod(device_bound_layer)
    user_logged_in.connect(on_login, dispatch_uid="django_jwtsession.contrib.dbsc")
    user_logged_out.connect(on_logout, dispatch_uid="django_jwtsession.contrib.dbsc")
    checks.register(check_dbsc, checks.Tags.security)
