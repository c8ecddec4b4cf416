"""Django's settings of the session cookie, looked up once.

Each look at `settings` is a Python function; a request that writes needs a dozen of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings
from django.core.signals import setting_changed

from ..conf import get_config


class Place(NamedTuple):
    """Where a cookie is in the browser: one of another name, Domain or Path is another cookie."""

    name: str
    domain: str | None
    path: str


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
    was: tuple[Place, ...]  # JWTSESSION["COOKIE_WAS"], without where it is today
    moves: bool  # whether JWTSESSION has MIGRATE_FROM or MIGRATE_TO


_options: Options | None = None


def get_options() -> Options:
    """Return the settings, built at first use and again after a change of settings.

    Raises ImproperlyConfigured for a SESSION_COOKIE_AGE that is no number.
    """
    return _options or _build()


def _build() -> Options:
    global _options
    was = _places_it_was_at()  # with JWTSESSION it looks at SESSION_COOKIE_AGE as well
    _options = Options(
        settings.SESSION_COOKIE_NAME,
        int(settings.SESSION_COOKIE_AGE),  # browsers drop a Max-Age that has a point
        settings.SESSION_COOKIE_DOMAIN,
        settings.SESSION_COOKIE_PATH,
        settings.SESSION_COOKIE_SECURE or False,
        settings.SESSION_COOKIE_HTTPONLY or False,
        settings.SESSION_COOKIE_SAMESITE,
        settings.SESSION_EXPIRE_AT_BROWSER_CLOSE,
        settings.SESSION_SAVE_EVERY_REQUEST,
        was,
        get_config().moves,
    )
    return _options


def _places_it_was_at() -> tuple[Place, ...]:
    """Return the places of COOKIE_WAS; what an entry leaves out is as it is today."""
    today = Place(
        settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_DOMAIN, settings.SESSION_COOKIE_PATH
    )
    places = (today._replace(**entry) for entry in get_config().cookie_was)
    return tuple(place for place in places if _plain(place) != _plain(today))


def _plain(place: Place) -> Place:
    """Return the place without the dot before its Domain, which browsers leave out."""
    return place._replace(domain=(place.domain or "").lstrip(".").lower() or None)


def _forget(**kwargs: object) -> None:
    global _options
    _options = None


setting_changed.connect(_forget, dispatch_uid="django_jwtsession.options")
