"""System checks: a table of what can be wrong, each row with what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from . import conf

_PACKAGE = "django_jwtsession"
_ENGINES = tuple(f"{_PACKAGE}.backends.{name}" for name in ("cookie", "db", "hybrid"))
_MIDDLEWARE = f"{_PACKAGE}.middleware.SessionMiddleware"


# --- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Check:
    """`problems` returns a message for each thing it finds; `hint` says what to write."""

    id: str
    level: int
    problems: Callable[[], Iterable[str]]
    hint: str | None = None

    def run(self) -> list[checks.CheckMessage]:
        id_ = f"{_PACKAGE}.{self.id}"
        return [checks.CheckMessage(self.level, m, self.hint, id=id_) for m in self.problems()]


def _if(found: Callable[[], bool], message: str) -> Callable[[], Iterable[str]]:
    return lambda: [message] if found() else []


# --- the JWTSESSION dict -------------------------------------------------------------------------


def _setting_problems() -> list[str]:
    return conf.problems(getattr(settings, "JWTSESSION", {}))


def _key_problems() -> list[str]:
    try:
        return conf.key_problems(conf.get_config())
    except ImproperlyConfigured:  # the setting's own problems stand first
        return []


def _idle_longer_than_absolute() -> bool:
    try:
        return conf.get_config().absolute_age < float(settings.SESSION_COOKIE_AGE)
    except ImproperlyConfigured:
        return False


def _mails_without_pages() -> bool:
    try:
        config = conf.get_config()
        if config.new_device_email or config.token_reuse_email:
            reverse("jwtsession:sessions")
    except NoReverseMatch:
        return True
    except ImproperlyConfigured:
        return False
    return False


# --- engine and middleware -----------------------------------------------------------------------


def _engine_module() -> ModuleType | None:
    try:
        module = import_module(settings.SESSION_ENGINE)
    except ImportError:
        return None
    return module if hasattr(module, "SessionStore") else None


def _engine_is_ours() -> bool:
    from .backends.base import TokenSession

    store = getattr(_engine_module(), "SessionStore", None)
    return isinstance(store, type) and issubclass(store, TokenSession)


def _no_such_engine() -> list[str]:
    engine = settings.SESSION_ENGINE
    ours = str(engine).partition(".")[0] == _PACKAGE
    if not ours or _engine_module() is not None:
        return []
    near = get_close_matches(engine, _ENGINES, n=1, cutoff=0)
    return [f"SESSION_ENGINE is {engine!r}, which is no engine. Did you mean {near[0]!r}?"]


def _has_middleware(wanted: type) -> bool:
    for path in settings.MIDDLEWARE:
        try:
            found = import_string(path)
        except ImportError:
            continue
        if isinstance(found, type) and issubclass(found, wanted):
            return True
    return False


def _ours_in_middleware() -> bool:
    from .middleware import SessionMiddleware

    return _has_middleware(SessionMiddleware)


def _engine_without_middleware() -> bool:
    return _engine_is_ours() and not _has_middleware(DjangoSessionMiddleware)


def _engine_with_stock_middleware() -> bool:
    stock = _has_middleware(DjangoSessionMiddleware) and not _ours_in_middleware()
    return _engine_is_ours() and stock


def _middleware_without_engine() -> bool:
    return _engine_module() is not None and _ours_in_middleware() and not _engine_is_ours()


# --- the cookie ----------------------------------------------------------------------------------


def _prefix() -> str:
    """Return the prefix of the cookie's name; browsers compare it in any case."""
    name = settings.SESSION_COOKIE_NAME.lower()
    prefixes = ("__host-http-", "__host-", "__http-", "__secure-")
    return next((prefix for prefix in prefixes if name.startswith(prefix)), "")


def _unkept_promises() -> list[str]:
    """Return what the name's prefix promises and the settings do not keep (RFC 6265bis 4.1.3)."""
    prefix, name = _prefix(), settings.SESSION_COOKIE_NAME
    host, http = prefix.startswith("__host-"), prefix.endswith("http-")
    rules = (
        (bool(prefix) and not settings.SESSION_COOKIE_SECURE, "SESSION_COOKIE_SECURE = True"),
        (host and settings.SESSION_COOKIE_DOMAIN, "SESSION_COOKIE_DOMAIN = None"),
        (host and settings.SESSION_COOKIE_PATH != "/", 'SESSION_COOKIE_PATH = "/"'),
        (http and not settings.SESSION_COOKIE_HTTPONLY, "SESSION_COOKIE_HTTPONLY = True"),
    )
    return [
        f"Browsers refuse a cookie named {name!r} with these settings, so nobody can log in."
        f" Write {write}, or choose a name without the prefix."
        for broken, write in rules
        if broken
    ]


def _could_have_host_prefix() -> bool:
    return (
        bool(settings.SESSION_COOKIE_SECURE)
        and not settings.SESSION_COOKIE_DOMAIN
        and settings.SESSION_COOKIE_PATH == "/"
        and not _prefix()
    )


# --- the rows ------------------------------------------------------------------------------------

_ALWAYS = (
    _Check("E001", checks.ERROR, _setting_problems),
    _Check("E002", checks.ERROR, _key_problems),
    _Check(
        "W005",
        checks.WARNING,
        _if(
            _engine_without_middleware,
            "SESSION_ENGINE is an engine of django_jwtsession, but no session middleware is in"
            " MIDDLEWARE: requests have no session.",
        ),
        f"Write {_MIDDLEWARE!r} into MIDDLEWARE, before AuthenticationMiddleware.",
    ),
    _Check("E004", checks.ERROR, _no_such_engine),
    _Check("E005", checks.ERROR, _unkept_promises),
    _Check(
        "W001",
        checks.WARNING,
        _if(
            _middleware_without_engine,
            "SESSION_ENGINE is no engine of django_jwtsession: its middleware works, but sessions"
            " are neither refreshed nor listed.",
        ),
        f"Write SESSION_ENGINE = one of {', '.join(map(repr, _ENGINES))}.",
    ),
    _Check(
        "W002",
        checks.WARNING,
        _if(
            _engine_with_stock_middleware,
            "Django's own session middleware is in use: sessions work, but are not refreshed.",
        ),
        f"Write {_MIDDLEWARE!r} in its place in MIDDLEWARE.",
    ),
    _Check(
        "W003",
        checks.WARNING,
        _if(
            _idle_longer_than_absolute,
            "SESSION_COOKIE_AGE is longer than a login may last at all.",
        ),
        'Raise JWTSESSION["ABSOLUTE_AGE"] (90 days by default) above it, or lower it.',
    ),
    _Check(
        "W004",
        checks.WARNING,
        _if(
            lambda: _engine_is_ours() and apps.is_installed("allauth.usersessions"),
            "allauth.usersessions stores session keys in a column of 40 characters, and those of"
            " django_jwtsession are longer: its logins fail or its list stays empty.",
        ),
        "Take 'allauth.usersessions' out of INSTALLED_APPS; django_jwtsession lists sessions.",
    ),
    _Check(
        "W006",
        checks.WARNING,
        _if(
            _mails_without_pages,
            "The mails of NEW_DEVICE_EMAIL and TOKEN_REUSE_EMAIL cannot link to the sessions of the"
            " user: no page is named 'jwtsession:sessions'.",
        ),
        'Write path("", include("django_jwtsession.urls")) into urlpatterns.',
    ),
)

_DEPLOY = (
    _Check(
        "W010",
        checks.WARNING,
        _if(
            lambda: not settings.SESSION_COOKIE_SECURE,
            "The session cookie also travels over plain http, where anyone can read it.",
        ),
        "Write SESSION_COOKIE_SECURE = True.",
    ),
    _Check(
        "W011",
        checks.WARNING,
        _if(
            lambda: not settings.SESSION_COOKIE_HTTPONLY,
            "Scripts of the page can read the session cookie.",
        ),
        "Write SESSION_COOKIE_HTTPONLY = True.",
    ),
    _Check(
        "W012",
        checks.WARNING,
        _if(
            _could_have_host_prefix,
            "Other subdomains can set a session cookie for this site: its name has no prefix that"
            " makes browsers refuse theirs.",
        ),
        'Write SESSION_COOKIE_NAME = "__Host-sessionid". A new name ends all sessions once.',
    ),
)


@checks.register(checks.Tags.security)
def check_settings(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the settings that every site has."""
    return [message for check in _ALWAYS for message in check.run()]


@checks.register(checks.Tags.security, deploy=True)
def check_deployment(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check what matters where real visitors come: ``manage.py check --deploy``."""
    return [message for check in _DEPLOY for message in check.run()]
