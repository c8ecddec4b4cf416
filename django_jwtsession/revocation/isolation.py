"""Whether a question inside a transaction is answered as of now, or as of when that began."""

from __future__ import annotations

from typing import Any

from django.db import connections

from ..models.retry import in_transaction

_NOW = "read committed"


def reads_old_snapshot(using: str) -> bool:
    """Tell whether this thread sees the database as it was when its transaction began."""
    if not in_transaction(using):
        return False
    connection: Any = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            return bool(cursor.fetchone()[0] not in (_NOW, "read uncommitted"))
    if connection.vendor == "mysql":
        # As Django has set it; None where it left the server's own default, a snapshot.
        return connection.isolation_level not in (_NOW, "read uncommitted")
    return bool(connection.vendor == "sqlite")
