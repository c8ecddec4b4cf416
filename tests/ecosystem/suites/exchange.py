"""A plugin of pytest: before a suite's site starts, its session engine is exchanged.

SUITE_ENGINE names the engine; "forgetful" is `hybrid` in a process that forgets at each request
what it wrote, as if each met another worker. The suite's `tests` hides ours: nothing of them is
imported.
"""

from __future__ import annotations

import os
from typing import Any

import django
from django.conf import global_settings, settings

STOCK = "django.contrib.sessions"
STOCK_MIDDLEWARE = f"{STOCK}.middleware.SessionMiddleware"
OUR_MIDDLEWARE = "django_jwtsession.middleware.SessionMiddleware"
ENGINES = {
    "stock": f"{STOCK}.backends.db",
    "hybrid": "django_jwtsession.backends.hybrid",
    "db": "django_jwtsession.backends.db",
    "forgetful": "django_jwtsession.backends.hybrid",
}

_name = os.environ["SUITE_ENGINE"]
_setup = django.setup


def _exchanged(names: Any, old: str, new: str) -> list[str]:
    return [new if name == old else name for name in names]


def setup(set_prefix: bool = True) -> None:
    """Do what django.setup() does, with the engine that is wanted."""
    settings.SESSION_ENGINE = ENGINES[_name]
    if settings.PASSWORD_HASHERS == global_settings.PASSWORD_HASHERS:  # as quick as others are
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if _name != "stock" and "django_jwtsession" not in settings.INSTALLED_APPS:
        settings.MIDDLEWARE = _exchanged(settings.MIDDLEWARE, STOCK_MIDDLEWARE, OUR_MIDDLEWARE)
        apps = list(settings.INSTALLED_APPS)
        kept = [STOCK] if os.environ.get("SUITE_BOTH_APPS") else []
        settings.INSTALLED_APPS = [*_exchanged(apps, STOCK, "django_jwtsession"), *kept]
    _setup(set_prefix)
    if _name == "forgetful":
        _forget_at_each_request()


django.setup = setup


def _forget_at_each_request() -> None:
    from django.core.signals import request_started

    from django_jwtsession.backends.process import superseded, written
    from django_jwtsession.devices.places import sightings

    def forget(**kwargs: Any) -> None:
        written.forget()
        superseded.forget()
        sightings.clear()

    request_started.connect(forget, weak=False)
