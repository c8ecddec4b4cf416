"""One feed for each place: a database, a tenant's schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, router

from django_jwtsession.models import Revocation
from django_jwtsession.models.place import current_place
from django_jwtsession.revocation import revoke_user_sessions
from django_jwtsession.revocation.feed import get_feed


@pytest.fixture
def tenants() -> Iterator[Any]:
    """A connection as django-tenants has it."""
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
    monkeypatch.setattr(place, "connections", {"sessions": object()})
    assert current_place() == "sessions"


@pytest.mark.django_db
def test_end_in_one_tenants_place_is_none_in_the_others(tenants: Any, user: Any) -> None:
    """Two tenants cloned from a template: users of the same pk."""
    tenants.schema_name = "acme"
    revoke_user_sessions(user)
    assert get_feed().revoked("sid", str(user.pk), 1.0)
    tenants.schema_name = "globex"
    assert not get_feed().revoked("sid", str(user.pk), 1.0)
