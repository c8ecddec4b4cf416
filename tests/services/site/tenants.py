"""Tenants as of django-tenants, faked: a header names the schema, the connection carries it."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection, connections
from django.http import HttpRequest, HttpResponse

from django_jwtsession.models import place

place._has_schemas = lambda _: True  # type: ignore[assignment]


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> object:
    """Set the schema before anything of the request is looked at."""

    def in_schema(request: HttpRequest) -> HttpResponse:
        schema = request.headers.get("X-Tenant", "public")
        database = connections["default"]
        database.schema_name = schema  # type: ignore[attr-defined]
        if database.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('search_path', %s, false)", [schema])
        return get_response(request)

    return in_schema
