"""What an entry of MIGRATE_FROM says: where sessions come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class OldEngine:
    """A session engine by its path, or a reader of cookies.

    `cookie` is the name of its cookie, None for the session cookie's. What a reader of cookies
    takes beside it: the secrets that others made them with, the claim that names the user (with
    dots into nested ones), and the authentication backend.
    """

    engine: str
    cookie: str | None = None
    serializer: str | None = None
    secret: str | Sequence[str] | Mapping[Any, str] | None = field(default=None, repr=False)
    user_id: str | None = None
    backend: str = "django.contrib.auth.backends.ModelBackend"

    @classmethod
    def of(cls, entry: Any) -> OldEngine:
        """Return what an entry says: a path, or a dict of these names."""
        return cls(**entry) if isinstance(entry, Mapping) else cls(entry)


def as_list(value: Any) -> list[Any]:
    """Return the entries of a setting that is None, one entry or several."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def secrets_of(value: Any) -> list[Any]:
    """Return the secrets in an entry of MIGRATE_FROM: one, several, or one for each number."""
    return list(value.values()) if isinstance(value, Mapping) else as_list(value)


def are_old_engines(value: Any) -> bool:
    """Tell whether MIGRATE_FROM is of the right form."""
    entries = as_list(value)
    return value is None or (bool(entries) and all(_is_old_engine(entry) for entry in entries))


def _is_old_engine(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return is_path(entry)
    texts = [value for name, value in entry.items() if name != "secret"]
    return (
        entry.keys() <= {each.name for each in fields(OldEngine)}
        and is_path(entry.get("engine"))
        and all(isinstance(text, str) and text for text in texts + secrets_of(entry.get("secret")))
    )


def is_path(value: Any) -> bool:
    """Tell whether a value is the dotted path of something in a module."""
    parts = value.split(".") if isinstance(value, str) else []
    return len(parts) > 1 and all(part.isidentifier() for part in parts)
