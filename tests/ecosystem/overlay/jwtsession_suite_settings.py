"""A neighbour's own test settings (SUITE_SETTINGS), with another session engine (SUITE_ENGINE)."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

_theirs = vars(import_module(os.environ["SUITE_SETTINGS"]))
globals().update({name: value for name, value in _theirs.items() if name.isupper()})
_STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
_OURS = "django_jwtsession.middleware.SessionMiddleware"

SECRET_KEY = "of a suite, long enough for every engine and for HS256"
SESSION_ENGINE = os.environ["SUITE_ENGINE"]
_apps: Any = _theirs.get("INSTALLED_APPS", ())
INSTALLED_APPS = [*_apps]
INSTALLED_APPS += [
    app for app in ("django.contrib.sessions", "django_jwtsession") if app not in INSTALLED_APPS
]
if not SESSION_ENGINE.startswith("django.contrib"):
    MIDDLEWARE = [_OURS if each == _STOCK else each for each in _theirs.get("MIDDLEWARE", ())]
