"""Django's settings of the session cookie, looked up once.

Each look at `settings` is a Python function; a request that writes needs a dozen of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings
from django.core.signals import setting_changed


class Options(NamedTuple):
    """The values of SESSION_COOKIE_.. and SESSION_.. under the rest of their names."""

    name: str
    age: int
    domain: str | None
    path: str
    secure: bool
    httponly: bool
    samesite: Any
    expire_at_browser_close: bool
    save_every_request: bool


_options: Options | None = None


def get_options() -> Options:
    """Return the settings, built at first use and again after a change of settings."""
    return _options or _build()


def _build() -> Options:
    global _options
    _options = Options(
        settings.SESSION_COOKIE_NAME,
        settings.SESSION_COOKIE_AGE,
        settings.SESSION_COOKIE_DOMAIN,
        settings.SESSION_COOKIE_PATH,
        settings.SESSION_COOKIE_SECURE or False,
        settings.SESSION_COOKIE_HTTPONLY or False,
        settings.SESSION_COOKIE_SAMESITE,
        settings.SESSION_EXPIRE_AT_BROWSER_CLOSE,
        settings.SESSION_SAVE_EVERY_REQUEST,
    )
    return _options


def _forget(**kwargs: object) -> None:
    global _options
    _options = None


setting_changed.connect(_forget, dispatch_uid="django_jwtsession.options")
