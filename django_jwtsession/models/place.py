"""Where this thread's sessions live: the database that a router names, and a tenant's schema."""

from __future__ import annotations

from functools import lru_cache

from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.utils import load_backend

from .registry import revocation_model

_PLAIN_SCHEMAS = (None, "", "public")


def current_place() -> str:
    """Return the name of the place whose feed this thread reads, "" on an ordinary site.

    That is the alias of the database to which `Revocation` is written, where it is not "default",
    and the schema that django-tenants has chosen on its connection, where it is not "public":
    "sessions", "/acme" or "sessions/acme". A user's pk means the same within one place only.
    """
    alias = current_alias()
    place = "" if alias == DEFAULT_DB_ALIAS else alias
    # To look for the thread's connection takes a fifth of a read without a query.
    if not _has_schemas(connections.settings[alias]["ENGINE"]):
        return place
    schema = getattr(connections[alias], "schema_name", None)
    return place if schema in _PLAIN_SCHEMAS else f"{place}/{schema}"


@lru_cache(8)
def _has_schemas(engine: str) -> bool:
    """Tell whether connections of a database engine are in schemas, as those of django-tenants."""
    return hasattr(load_backend(engine).DatabaseWrapper, "set_schema")


def has_one_place() -> bool:
    """Tell whether current_place() is the same for all threads, whatever they do."""
    engine = connections.settings[DEFAULT_DB_ALIAS]["ENGINE"]
    return not router.routers and not _has_schemas(engine)


def be_in(place: str) -> None:
    """Be in a place, for a thread of the package's own: choose its tenant's schema."""
    choose = getattr(connections[current_alias()], "set_schema", None)
    if choose is not None:
        choose(place.partition("/")[2] or "public")


def current_alias() -> str:
    """Return the alias of the database to which this thread writes `Revocation`."""
    if not router.routers:  # as on most sites, and asked several times a request
        return DEFAULT_DB_ALIAS
    return router.db_for_write(revocation_model())
