"""The app, installed for the tests of this folder alone: the others see the core without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core.checks.registry import registry
from django.db import connection

from django_jwtsession.backends.base import TokenSession
from django_jwtsession.contrib.dbsc import hooks
from django_jwtsession.contrib.dbsc.models import Binding
from django_jwtsession.middleware import SessionMiddleware

from .browser import Browser

APP = "django_jwtsession.contrib.dbsc"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        if Binding._meta.db_table not in connection.introspection.table_names():
            editor.create_model(Binding)


@pytest.fixture(autouse=True)
def installed(settings: Any) -> Iterator[None]:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, APP]
    settings.SESSION_ENGINE = "django_jwtsession.backends.hybrid"
    settings.STATIC_URL = "/static/"
    hooks.connect()
    yield
    TokenSession.bindings = None
    SessionMiddleware.inside = None
    user_logged_in.disconnect(dispatch_uid=APP)
    user_logged_out.disconnect(dispatch_uid=APP)
    registry.registered_checks.discard(hooks.check_dbsc)


@pytest.fixture(params=["db", "hybrid"])
def row_engine(request: pytest.FixtureRequest, settings: Any) -> str:
    """Each engine with rows in turn."""
    settings.SESSION_ENGINE = f"django_jwtsession.backends.{request.param}"
    name: str = request.param
    return name


@pytest.fixture
def strict(settings: Any) -> None:
    settings.DBSC = {"MODE": "strict"}


@pytest.fixture
def browser() -> Browser:
    return Browser()
