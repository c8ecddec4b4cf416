"""Connections as django-tenants has them: they say in which schema they are."""

from __future__ import annotations

import pytest
from django.db import connections

from django_jwtsession.models import place
from django_jwtsession.revocation import feed


def have_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_has_schemas", lambda _: True)
    monkeypatch.setattr(feed, "_only", None)


def be_in_schema(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this thread's connection be in a schema."""
    have_schemas(monkeypatch)
    monkeypatch.setattr(connections["default"], "schema_name", name, raising=False)
