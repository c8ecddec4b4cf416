"""One feed for each place: a database, a tenant's schema."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, router

from django_jwtsession.models import Revocation
from django_jwtsession.models.place import current_place
from django_jwtsession.revocation import revoke_user_sessions
from django_jwtsession.revocation.feed import get_feed

from ..helpers.schemas import have_schemas


@pytest.fixture
def tenants(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connection as django-tenants has it."""
    have_schemas(monkeypatch)
    schema: Any = connection
    schema.schema_name = "public"
    yield schema
    del schema.schema_name


class Elsewhere:
    """A router that keeps the feed in a database of its own."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "sessions" if model is Revocation else None


def test_ordinary_site_is_one_place_without_a_name() -> None:
    assert current_place() == ""


def test_places_are_the_schemas_of_tenants(tenants: Any) -> None:
    found = []
    for schema in ("public", "acme", "globex"):
        tenants.schema_name = schema
        found.append(current_place())
    assert found == ["", "/acme", "/globex"]


def test_place_is_the_database_that_a_router_names(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_jwtsession.models import place

    monkeypatch.setattr(router, "routers", [Elsewhere()])
    databases = {"sessions": {"ENGINE": "django.db.backends.sqlite3"}}
    monkeypatch.setattr(place, "connections", SimpleNamespace(settings=databases))
    assert current_place() == "sessions"


def test_connections_of_django_tenants_have_schemas_and_django_s_have_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django_jwtsession.models import place

    class DatabaseWrapper:
        def set_schema(self, name: str) -> None:
            """As django-tenants'."""

    module = SimpleNamespace(DatabaseWrapper=DatabaseWrapper)
    assert not place._has_schemas("django.db.backends.sqlite3")
    monkeypatch.setattr(place, "load_backend", lambda _: module)
    assert place._has_schemas("django_tenants.postgresql_backend")
    place._has_schemas.cache_clear()


@pytest.mark.django_db
def test_end_in_one_tenants_place_is_none_in_the_others(tenants: Any, user: Any) -> None:
    """Two tenants cloned from a template: users of the same pk."""
    tenants.schema_name = "acme"
    revoke_user_sessions(user)
    assert get_feed().revoked("sid", str(user.pk), 1.0)
    tenants.schema_name = "globex"
    assert not get_feed().revoked("sid", str(user.pk), 1.0)
