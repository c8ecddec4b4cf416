"""The columns of a row that follow from a session's times, its user, and a project's own model."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from ..models.times import to_datetime

_TIMES = frozenset(
    {
        "authenticated_at",
        "expires_at",
        "last_seen_at",
        "generation_confirmed_at",
        "next_issued_at",
        "cookie_until",
    }
)


def of(values: dict[str, Any]) -> dict[str, Any]:
    """Return values of a Row as the columns of the table hold them."""
    return {
        name: to_datetime(value) if name in _TIMES and value is not None else value
        for name, value in values.items()
    }


def user_id(model: Any, value: Any) -> Any:
    """Return a user's pk as its column takes it, None for one that does not fit."""
    field = model._meta.get_field("user").target_field
    try:
        pk = field.to_python(value)
        # Of a class of the project's own, validators know what the database gets of it.
        field.run_validators(field.get_prep_value(pk))
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
    return pk
