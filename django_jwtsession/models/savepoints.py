"""Statements that may fail without breaking the transaction that they happen to run in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import connections, transaction


def savepoint(using: str) -> AbstractContextManager[Any]:
    """Return a savepoint inside a transaction, and nothing outside.

    There a single statement is a transaction of its own; BEGIN and COMMIT around it would be two
    more ways to the database and back.
    """
    connection = connections[using]
    if connection.in_atomic_block or not connection.get_autocommit():
        return transaction.atomic(using=using)
    return nullcontext()
