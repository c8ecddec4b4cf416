"""Settings of one neighbour's site: NEIGHBOUR names it (sites.py)."""

from __future__ import annotations

import os

from tests.settings import (  # noqa: F401
    ALLOWED_HOSTS,
    DATABASES,
    DEFAULT_AUTO_FIELD,
    PASSWORD_HASHERS,
    SECRET_KEY,
    SESSION_COOKIE_AGE,
    TEMPLATES,
    USE_TZ,
)

from .sites import OUR_MIDDLEWARE, SITES

_name = os.environ["NEIGHBOUR"]
_site = SITES[_name]

ROOT_URLCONF = f"tests.ecosystem.neighbours.test_{_name}"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_jwtsession",
    "tests.ecosystem.site_app",
]
INSTALLED_APPS += [app for app in _site.apps if app not in INSTALLED_APPS]
if os.environ.get("STOCK") and "django.contrib.sessions" not in INSTALLED_APPS:
    INSTALLED_APPS.append("django.contrib.sessions")
MIDDLEWARE = [
    *_site.first,
    OUR_MIDDLEWARE,
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    *_site.middleware,
]
TEMPLATES[0]["OPTIONS"]["context_processors"] += _site.context_processors
SESSION_ENGINE = "django_jwtsession.backends.hybrid"
STATIC_URL = "/static/"
LOGIN_URL = "/login/"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if _site.settings.get("OSCAR"):
    from oscar.defaults import *  # noqa: F403

    TEMPLATES[0]["OPTIONS"]["context_processors"] += [
        "oscar.apps.search.context_processors.search_form",
        "oscar.apps.checkout.context_processors.checkout",
        "oscar.apps.communication.notifications.context_processors.notifications",
        "oscar.core.context_processors.metadata",
    ]
if _site.postgresql:
    DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
globals().update({key: value for key, value in _site.settings.items() if key != "OSCAR"})
