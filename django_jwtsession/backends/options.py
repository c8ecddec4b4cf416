"""Django's settings of the session cookie, looked up once.

Each look at `settings` is a Python function; a request that writes needs a dozen of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings
from django.core.signals import setting_changed
from django.db import connections

from ..conf import Config, get_config


class Place(NamedTuple):
    """Where a cookie is in the browser: one of another name, Domain or Path is another cookie."""

    name: str
    domain: str | None
    path: str


class Options:
    """The values of SESSION_COOKIE_.. and SESSION_.. under the rest of their names.

    As Django's LazySettings: read at the first look at any of them, and again after a change of
    settings; every other look is one at an attribute. Raises ImproperlyConfigured for JWTSESSION,
    or a SESSION_COOKIE_AGE, that cannot be used.
    """

    config: Config  # JWTSESSION
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
    atomic_requests: bool  # whether any database has ATOMIC_REQUESTS

    def __getattr__(self, name: str) -> Any:
        if name not in Options.__annotations__:
            raise AttributeError(name)
        found = _read()
        self.__dict__.update(found)
        return found[name]


options = Options()


def _read() -> dict[str, Any]:
    config = get_config()  # which looks at SESSION_COOKIE_AGE as well
    return {
        "config": config,
        "name": settings.SESSION_COOKIE_NAME,
        "age": int(settings.SESSION_COOKIE_AGE),  # browsers drop a Max-Age that has a point
        "domain": settings.SESSION_COOKIE_DOMAIN,
        "path": settings.SESSION_COOKIE_PATH,
        "secure": settings.SESSION_COOKIE_SECURE or False,
        "httponly": settings.SESSION_COOKIE_HTTPONLY or False,
        "samesite": settings.SESSION_COOKIE_SAMESITE,
        "expire_at_browser_close": settings.SESSION_EXPIRE_AT_BROWSER_CLOSE,
        "save_every_request": settings.SESSION_SAVE_EVERY_REQUEST,
        "was": _places_it_was_at(),
        "moves": config.moves,
        "atomic_requests": any(one["ATOMIC_REQUESTS"] for one in connections.settings.values()),
    }


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
    options.__dict__.clear()


setting_changed.connect(_forget, dispatch_uid="django_jwtsession.options")
