"""The columns of a row that follow from a session's times, its user, and a project's own model."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from django.contrib.auth import SESSION_KEY
from django.core.exceptions import ValidationError

from ..times import to_datetime

if TYPE_CHECKING:
    from .rows import Row


def times(row: Row) -> dict[str, Any]:
    """Return the columns that each request in use may move."""
    return {
        "expires_at": to_datetime(row.expires_at),
        "last_seen_at": to_datetime(row.last_seen_at),
    }


def auth(model: Any, data: dict[str, Any], auth_time: float | None) -> dict[str, Any]:
    """Return the columns that say who is logged in, and since when."""
    return {
        "user_id": user_id(model, data.get(SESSION_KEY)),
        "authenticated_at": None if auth_time is None else to_datetime(auth_time),
    }


def user_id(model: Any, value: Any) -> Any:
    """Return a user's pk as its column takes it, None for one that does not fit."""
    field = model._meta.get_field("user").target_field
    try:
        pk = field.to_python(value)
        field.run_validators(pk)
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
    return pk


@cache
def own_names(model: Any) -> tuple[str, ...]:
    """Return the names of the columns that `model` has beyond AbstractSession's."""
    from ..models import AbstractSession

    known = {field.name for field in AbstractSession._meta.local_fields}
    fields = model._meta.concrete_fields
    return tuple(field.attname for field in fields if field.name not in known)
