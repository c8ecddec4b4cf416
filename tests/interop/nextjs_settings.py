"""The example's settings on a database of the tests' own."""

import os

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["INTEROP_DATABASE"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
