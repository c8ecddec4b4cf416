"""Databases that are there and take no writes: a standby, a full disk, a locked SQLite file."""

from __future__ import annotations

# SQLSTATE: read-only transaction, disk full.
_STATES = frozenset({"25006", "53100"})
# MySQL's numbers: a file cannot be written, disk full, table full; read-only server, transaction.
_MYSQL = frozenset({3, 1021, 1026, 1114, 1290, 1792, 1836})
_SQLITE = ("SQLITE_READONLY", "SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED")


def takes_no_writes(error: BaseException) -> bool:
    """Tell whether a statement failed because the database takes no writes at present."""
    cause = error.__cause__ or error
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    number = cause.args[0] if cause.args else None
    name: str = getattr(cause, "sqlite_errorname", None) or ""
    return state in _STATES or number in _MYSQL or name.startswith(_SQLITE)
