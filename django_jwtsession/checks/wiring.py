"""The app, the engine and the middleware: whether each finds the others."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module

from django.apps import apps
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware, LoginRequiredMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.module_loading import import_string

from ..middleware import SessionMiddleware
from . import engine
from .table import Check, when

_OURS = "django_jwtsession.middleware.SessionMiddleware"


# --- the engine ----------------------------------------------------------------------------------


def _no_such_engine() -> list[str]:
    path = str(settings.SESSION_ENGINE)
    try:
        if hasattr(import_module(path), "SessionStore"):
            return []
        why = "it has no SessionStore"
    except (ImportError, ValueError) as error:  # of no name
        why = str(error)
    cutoff = 0.0 if "jwt" in path else 0.6
    near = get_close_matches(path, engine.ENGINES, n=1, cutoff=cutoff)
    write = f"Did you mean {near[0]!r}?" if near else f"({why})"
    return [f"SESSION_ENGINE is {path!r}, which is no engine. {write}"]


# --- the middleware ------------------------------------------------------------------------------


def _middleware() -> Iterator[tuple[str, type]]:
    """Yield the classes in MIDDLEWARE with their paths; what cannot be imported is left out."""
    for path in settings.MIDDLEWARE:
        try:
            found = import_string(path)
        except ImportError:
            continue
        if isinstance(found, type):
            yield path, found


def _paths_of(wanted: type) -> list[str]:
    return [path for path, found in _middleware() if issubclass(found, wanted)]


def _engine_without_middleware() -> bool:
    return engine.is_ours() and not _paths_of(DjangoSessionMiddleware)


def _engine_with_stock_middleware() -> bool:
    stock = bool(_paths_of(DjangoSessionMiddleware)) and not _paths_of(SessionMiddleware)
    return engine.is_ours() and stock


def _middleware_without_engine() -> bool:
    is_other = engine.store() is not None and not engine.is_ours()
    return is_other and bool(_paths_of(SessionMiddleware))


def _is_in_use() -> bool:
    return engine.is_ours() or bool(_paths_of(SessionMiddleware))


def _second_middleware() -> list[str]:
    """Return which session middlewares are one too many: ours stays, else the first."""
    found = _paths_of(DjangoSessionMiddleware)
    kept = next(iter(_paths_of(SessionMiddleware) or found), None)
    return [
        f"Take {path!r} out of MIDDLEWARE: {kept!r} is there as well, and of two sessions in one"
        " request one is lost."
        for path in found
        if path != kept and _is_in_use()
    ]


def _before_the_session() -> list[str]:
    """Return what stands before the session middleware and needs its session."""
    users: tuple[type, ...] = (AuthenticationMiddleware, LoginRequiredMiddleware, MessageMiddleware)
    if settings.CSRF_USE_SESSIONS:
        users += (CsrfViewMiddleware,)
    early: list[str] = []
    for path, found in _middleware():
        if issubclass(found, DjangoSessionMiddleware):
            wrong = early[:1] if _is_in_use() else []  # whoever mends the first mends all
            return [f"Write {path!r} before {one!r} in MIDDLEWARE." for one in wrong]
        if issubclass(found, users):
            early.append(path)
    return []


# --- the apps ------------------------------------------------------------------------------------


def _both_apps() -> bool:
    both = engine.is_ours() and apps.is_installed("django.contrib.sessions")
    return both and not _sessions_move()


def _sessions_move() -> bool:
    given = getattr(settings, "JWTSESSION", None) or {}
    return bool(given.get("MIGRATE_FROM") or given.get("MIGRATE_TO"))


ALWAYS = (
    Check("E004", _no_such_engine),
    Check(
        "W005",
        when(
            _engine_without_middleware,
            "SESSION_ENGINE is an engine of django_jwtsession, but no session middleware is in"
            " MIDDLEWARE: requests have no session.",
        ),
        f"Write {_OURS!r} into MIDDLEWARE, before AuthenticationMiddleware.",
    ),
    Check("E006", _second_middleware),
    Check("E007", _before_the_session, "What stands before it finds no request.session."),
    Check(
        "W001",
        when(
            _middleware_without_engine,
            "SESSION_ENGINE is no engine of django_jwtsession: its middleware works, but sessions"
            " are neither refreshed nor listed.",
        ),
        f"Write SESSION_ENGINE = one of {', '.join(map(repr, engine.ENGINES))}.",
    ),
    Check(
        "W002",
        when(
            _engine_with_stock_middleware,
            "Django's own session middleware is in use: sessions work, but are not refreshed.",
        ),
        f"Write {_OURS!r} in its place in MIDDLEWARE.",
    ),
    Check(
        "I001",
        when(
            _both_apps,
            "'django.contrib.sessions' is installed as well: its table stays empty, and to delete"
            " its rows ends nothing.",
        ),
        "End sessions with revoke_session() or revoke_user_sessions() of"
        " django_jwtsession.revocation. The app may stay for packages that import its models.",
    ),
)
