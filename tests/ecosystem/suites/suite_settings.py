"""Settings for suites whose sdist has none: SUITE names the suite."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

from django.http import HttpResponse
from django.urls import include, path

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
SECRET_KEY = "of the suites, and of nothing else"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
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

_urls = ModuleType("suite_urls")
_patterns: list[Any] = [path("", lambda _: HttpResponse("home"), name="home")]
vars(_urls)["urlpatterns"] = _patterns
sys.modules["suite_urls"] = _urls
ROOT_URLCONF = "suite_urls"

_name = os.environ["SUITE"]
if _name == "impersonate":
    INSTALLED_APPS.append("impersonate")
    MIDDLEWARE.append("impersonate.middleware.ImpersonateMiddleware")
    ROOT_URLCONF = "impersonate.tests"
    LOGIN_REDIRECT_URL = "/accounts/login/"
elif _name == "cas":
    INSTALLED_APPS.append("django_cas_ng")
    AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.ModelBackend",
        "django_cas_ng.backends.CASBackend",
    ]
    CAS_SERVER_URL = "http://www.example.com/"
elif _name == "oidc":
    INSTALLED_APPS.append("mozilla_django_oidc")
    OIDC_OP_TOKEN_ENDPOINT = OIDC_OP_AUTHORIZATION_ENDPOINT = OIDC_OP_USER_ENDPOINT = "https://op/"
    OIDC_RP_CLIENT_ID, OIDC_RP_CLIENT_SECRET = "example_id", "client_secret"
    OIDC_USERNAME_ALGO = None
    _patterns.append(path("", include("mozilla_django_oidc.urls")))
