"""Where this thread's sessions live: the database that a router names, and a tenant's schema."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS, connections, router

_PLAIN_SCHEMAS = ("", "public")


def current_place() -> str:
    """Return the name of the place whose feed this thread reads, "" on an ordinary site.

    That is the alias of the database to which `Revocation` is written, where it is not "default",
    and the schema that django-tenants has chosen on its connection, where it is not "public":
    "sessions", "/acme" or "sessions/acme". A user's pk means the same within one place only.
    """
    # Asked several times a request: without routers and schemas it costs no call.
    alias = current_alias() if router.routers else DEFAULT_DB_ALIAS
    if alias == DEFAULT_DB_ALIAS and not has_schemas(alias):
        return ""
    schema = getattr(connections[alias], "schema_name", None) or ""
    place = "" if alias == DEFAULT_DB_ALIAS else alias
    return place if schema in _PLAIN_SCHEMAS else f"{place}/{schema}"


def current_alias() -> str:
    """Return the alias of the database to which this thread writes `Revocation`."""
    return router.db_for_write(revocation_model())


def revocation_model() -> Any:
    """Return `Revocation`; an import would go in a circle, by way of ``objects.revoke()``."""
    return apps.get_model("django_jwtsession", "Revocation")


@cache
def has_schemas(alias: str) -> bool:
    """Tell whether a database's connections know of schemas, as those of django-tenants do."""
    return hasattr(connections[alias], "schema_name")


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "DATABASES":
        has_schemas.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_jwtsession.place")
