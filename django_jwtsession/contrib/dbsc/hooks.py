"""The app's two hooks in the core, what it notes at logins and logouts, and its checks."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.module_loading import import_string

from ...backends.base import TokenSession
from ...middleware import SessionMiddleware
from ...tokens.sid import uuid_from_sid
from ..layer import Layer
from . import proofs, views
from .conf import problems, setting
from .decorators import require_proof
from .models import Binding

_PAGES = {views.START: views.start, proofs.REFRESH: views.refresh}
_NO_ROW = "contrib.dbsc needs a row to keep a key beside, and SESSION_ENGINE keeps none of ours."
_HYBRID = "Write SESSION_ENGINE = 'django_jwtsession.backends.hybrid', or '..db'."
_NO_MIDDLEWARE = "contrib.dbsc binds no session without the session middleware of this package."
_OURS = "Write 'django_jwtsession.middleware.SessionMiddleware' into MIDDLEWARE."
_ELSEWHERE = "The proof is a cookie of one host and all its paths, and the session cookie is not."
_DEFAULT = "Leave SESSION_COOKIE_DOMAIN and SESSION_COOKIE_PATH at their defaults."
_TOO_SHORT = "Browsers sign six times in nine minutes at most, in the last two minutes of a proof."
_LONGER = 'Write a DBSC["MAX_AGE"] of 300 seconds or more, such as 600.'


class DeviceBound(Layer):
    """The protocol's pages are answered here, before anything redirects them or asks for a login.

    Browsers end a binding at that.
    """

    def __init__(self, get_response: Callable[..., Any]) -> None:
        super().__init__(get_response)
        if found := problems():
            raise ImproperlyConfigured(found[0])

    def answering(self, request: HttpRequest) -> Callable[[HttpRequest], Any] | None:
        return _PAGES.get(request.path_info)

    def guarding(self) -> Callable[[HttpRequest], None] | None:
        return None if setting("REQUIRE") is None else _ask_rule

    def finishing(self, request: HttpRequest) -> Callable[[HttpRequest, Any], None] | None:
        return getattr(getattr(request, "session", None), "dbsc", None)


def _ask_rule(request: HttpRequest) -> None:
    if import_string(setting("REQUIRE"))(request):
        require_proof(request)


def on_login(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    session: Any = getattr(request, "session", None)
    if getattr(session, "has_rows", False):
        session.dbsc = views.offer


def on_logout(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    session: Any = getattr(request, "session", None)
    if isinstance(session, TokenSession):
        Binding.objects.filter(pk=session.sid and uuid_from_sid(session.sid)).delete()
        session.dbsc = proofs.take_away  # type: ignore[attr-defined]


def _has_rows() -> bool:
    store = getattr(import_module(settings.SESSION_ENGINE), "SessionStore", None)
    return bool(getattr(store, "has_rows", False))


def _middleware() -> list[type]:
    found = [import_string(path) for path in settings.MIDDLEWARE]
    return [each for each in found if isinstance(each, type)]


def check_dbsc(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the app's settings, and those that it depends on."""
    found: list[checks.CheckMessage] = [
        checks.Error(problem, id="django_jwtsession.E030") for problem in problems()
    ]
    if not _has_rows():
        found.append(checks.Error(_NO_ROW, _HYBRID, id="django_jwtsession.E031"))
    if not any(issubclass(each, SessionMiddleware) for each in _middleware()):
        found.append(checks.Error(_NO_MIDDLEWARE, _OURS, id="django_jwtsession.E032"))
    if settings.SESSION_COOKIE_DOMAIN or settings.SESSION_COOKIE_PATH != "/":
        found.append(checks.Warning(_ELSEWHERE, _DEFAULT, id="django_jwtsession.W030"))
    if not found and setting("MAX_AGE") < 300:
        found.append(checks.Warning(_TOO_SHORT, _LONGER, id="django_jwtsession.W031"))
    return found


def connect() -> None:
    """Be asked by the core from now on."""
    TokenSession.bindings = proofs.DeviceBindings()
    SessionMiddleware.inside = DeviceBound
    user_logged_in.connect(on_login, dispatch_uid="django_jwtsession.contrib.dbsc")
    user_logged_out.connect(on_logout, dispatch_uid="django_jwtsession.contrib.dbsc")
    checks.register(check_dbsc, checks.Tags.security)
