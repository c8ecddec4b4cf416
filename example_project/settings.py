"""Settings of the example: those of a production site, unless DEBUG is on as in `make demo`.

Read from the environment and from `.env`:

SESSION_SECRET            the secret of the session tokens, such as `openssl rand -base64 32` prints
SESSION_SECRET_FALLBACKS  older ones that are still accepted, with spaces between
SESSION_BACKEND           cookie, db or hybrid (the default)
DEBUG                     1 on a developer's machine: plain http, error pages
ALLOWED_HOSTS             the site's names, with spaces between
PROXIES                   the number of your own proxies in front, 0 by default
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from example_project import env

BASE_DIR = Path(__file__).resolve().parent.parent
_env = env.read()
_proxies = int(_env.get("PROXIES", "0"))
_engines = ("cookie", "db", "hybrid")

DEBUG = _env.get("DEBUG", "").lower() in ("1", "true", "yes", "on")
ALLOWED_HOSTS = _env.get("ALLOWED_HOSTS", "").split()

# --- sessions ------------------------------------------------------------------------------------

SESSION_SECRET = _env.get("SESSION_SECRET", "")
if not SESSION_SECRET:
    raise ImproperlyConfigured(
        "SESSION_SECRET is missing. `make demo` writes one into .env; for a server, put what"
        " `openssl rand -base64 32` prints into its environment."
    )
_backend = _env.get("SESSION_BACKEND", "") or "hybrid"
if _backend not in _engines:
    raise ImproperlyConfigured(f"SESSION_BACKEND must be one of {', '.join(_engines)}.")

SESSION_ENGINE = f"django_jwtsession.backends.{_backend}"
SESSION_COOKIE_AGE = 7 * 24 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_PATH = "/"
# Browsers take no Secure cookie over plain http, which is what the demo speaks. Over https the
# prefix keeps other subdomains from setting a cookie of this name.
SESSION_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_NAME = "sessionid" if DEBUG else "__Host-sessionid"
JWTSESSION = {
    "KEYS": [SESSION_SECRET, *_env.get("SESSION_SECRET_FALLBACKS", "").split()],
    "TRUSTED_PROXY_COUNT": _proxies,
}

# --- the rest of Django --------------------------------------------------------------------------

# One secret to look after: Django's own follows from it, and opens no session.
SECRET_KEY = hmac.digest(SESSION_SECRET.encode(), b"Django's SECRET_KEY", hashlib.sha512).hex()

CSRF_COOKIE_SECURE = not DEBUG
SECURE_SSL_REDIRECT = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 30 * 24 * 60 * 60
if _proxies:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SILENCED_SYSTEM_CHECKS = [
    # Whether every subdomain speaks https, and for good, is not for one site of a domain to say.
    "security.W005",
    "security.W021",
]

INSTALLED_APPS = [
    "example_project",
    "django_jwtsession",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django_jwtsession.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django_jwtsession.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "profile"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGES = [("en", "English"), ("de", "German"), ("fr", "French"), ("es", "Spanish")]
LOCALE_PATHS = [BASE_DIR / "example_project" / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "build" / "static"

# Django shows warnings with DEBUG only; those of the sessions belong into every log.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"sessions": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django.security.jwtsession": {"handlers": ["sessions"], "propagate": False},
    },
}
