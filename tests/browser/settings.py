"""The example's settings on a database of the tests' own; see server.py for the variables."""

import json
import os

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES, INSTALLED_APPS, TEMPLATES

DATABASES["default"]["NAME"] = os.environ["BROWSER_DATABASE"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TEMPLATES[0]["DIRS"] = [folder for folder in [os.environ.get("BROWSER_TEMPLATES")] if folder]
ROOT_URLCONF = "tests.browser.urls"

# The app's settings, where it is installed.
if os.environ.get("BROWSER_DBSC"):
    INSTALLED_APPS += ["django_jwtsession.contrib.dbsc"]
    DBSC = json.loads(os.environ["BROWSER_DBSC"])
