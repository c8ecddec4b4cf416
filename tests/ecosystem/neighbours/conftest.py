"""What the neighbours' tests need: both engines, people, and a page that says who is there."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.conftest import ENGINES

PASSWORD = "correct horse battery"


STOCK = "django.contrib.sessions.backends.db"


@pytest.fixture(params=["hybrid", "db"], autouse=True)
def engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Each engine in turn; Django's own where STOCK is set, to see what it does."""
    settings.SESSION_ENGINE = STOCK if os.environ.get("STOCK") else ENGINES[request.param]
    name: str = request.param
    return name


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", "ada@example.com", PASSWORD)


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("grace", "grace@example.com", PASSWORD)


@pytest.fixture
def browser() -> Client:
    return Client(HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux x86_64; rv:149.0) Firefox/149.0")
