"""Settings of the served site, from the environment.

SITE_DATABASE: URL. SITE_ENGINE: dotted path of the session engine. SITE_JWTSESSION: JSON.
SITE_GATES: a folder, see views.wait_at(). SITE_CLOCK, SITE_SETTLE: see oddities.py.
SITE_SECRET, SITE_FALLBACK: SECRET_KEY and its fallback. SITE_AGE: seconds. SITE_TENANTS: "1" where
a header names the schema, see tenants.py. SITE_TZ: "0" switches USE_TZ off. SITE_DATABASE_MORE:
JSON, more of DATABASES["default"]. SITE_BREAK: see oddities.py. SITE_LOAD: "1" loads the feed in
wsgi.py. SITE_STOCK: "1" for the engine's own middleware, as before this package came. SITE_DBSC:
JSON, installs contrib.dbsc with these settings. SITE_ZONE: TIME_ZONE.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec

from tests.settings import (  # noqa: F401
    ALLOWED_HOSTS,
    DEFAULT_AUTO_FIELD,
    PASSWORD_HASHERS,
    SECRET_KEY,
    TEMPLATES,
    _database,
)

_url = os.environ["SITE_DATABASE"]
if _url.startswith("sqlite:"):
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": _url.removeprefix("sqlite://"),
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    }
else:
    DATABASES = {"default": _database(_url)}
    # A login's thread keeps its connection: most of a short request would be connecting.
    DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    DATABASES["default"] |= json.loads(os.environ.get("SITE_DATABASE_MORE", "{}"))

SECRET_KEY = os.environ.get("SITE_SECRET", SECRET_KEY)
SECRET_KEY_FALLBACKS = [key for key in [os.environ.get("SITE_FALLBACK")] if key]
USE_TZ = os.environ.get("SITE_TZ") != "0"
TIME_ZONE = os.environ.get("SITE_ZONE", "UTC" if USE_TZ else "Europe/Berlin")
SESSION_COOKIE_AGE = int(os.environ.get("SITE_AGE", 14 * 86400))
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"  # as staging servers have it
LOGIN_URL, LOGIN_REDIRECT_URL = "/log_in/", "/ping/"
if _redis := os.environ.get("REDIS_URL"):
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": _redis,
            "KEY_PREFIX": _url.rpartition("/")[2],  # each run has its own
        }
    }

INSTALLED_APPS = [
    "django_jwtsession",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    *(["user_sessions"] if find_spec("user_sessions") else []),
]
MIDDLEWARE = [
    "django_jwtsession.middleware.SessionMiddleware",
    "django_jwtsession.middleware.AuthenticationMiddleware",
]
if os.environ.get("SITE_STOCK") == "1":
    _has_its_own = os.environ["SITE_ENGINE"].startswith("user_sessions.")
    _app = "user_sessions" if _has_its_own else "django.contrib.sessions"
    MIDDLEWARE = [
        f"{_app}.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
if os.environ.get("SITE_TENANTS") == "1":
    MIDDLEWARE.insert(0, "tests.services.site.tenants.middleware")
if _dbsc := os.environ.get("SITE_DBSC"):
    INSTALLED_APPS.append("django_jwtsession.contrib.dbsc")
    DBSC = json.loads(_dbsc)
ROOT_URLCONF = "tests.services.site.urls"
SESSION_ENGINE = os.environ["SITE_ENGINE"]
JWTSESSION = json.loads(os.environ.get("SITE_JWTSESSION", "{}"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "[{name} {levelname}] {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
