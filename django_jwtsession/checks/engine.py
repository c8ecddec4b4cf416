"""Which session engine the site has, as the checks ask."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings

from ..backends.base import TokenSession
from ..backends.cookie import SessionStore as CookieStore
from ..backends.hybrid import SessionStore as HybridStore

ENGINES = tuple(f"django_jwtsession.backends.{name}" for name in ("cookie", "db", "hybrid"))


def store() -> Any:
    """Return the SessionStore class of SESSION_ENGINE, None if there is none."""
    try:
        return getattr(import_module(str(settings.SESSION_ENGINE)), "SessionStore", None)
    except (ImportError, ValueError):  # of no name
        return None


def is_ours() -> bool:
    """Tell whether the engine is this package's or a project's subclass of one."""
    return _is_a(TokenSession)


def is_cookie() -> bool:
    """Tell whether sessions have no row."""
    return _is_a(CookieStore)


def has_data_in_cookie() -> bool:
    """Tell whether a cookie grows with what the session holds."""
    return _is_a(CookieStore) or _is_a(HybridStore)


def _is_a(wanted: type) -> bool:
    found = store()
    return isinstance(found, type) and issubclass(found, wanted)
