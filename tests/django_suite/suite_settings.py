"""Settings under which Django's tests run: the database of our own tests, their applications."""

from __future__ import annotations

import os

from tests.settings import DATABASES as OUR_DATABASES

SECRET_KEY = "tests-only-secret-key-of-more-than-fifty-characters-in-length"
USE_TZ = False  # as in Django's own runner; its time zone tests turn it on
SESSION_ENGINE = os.environ["SUITE_ENGINE"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_jwtsession",
    "sessions_tests",
    "tests",
]
# Not the database that our own tests are using at the same time.
DATABASES = {
    alias: {**database, "TEST": {"NAME": os.environ.get("SUITE_DATABASE")}}
    for alias, database in OUR_DATABASES.items()
}
