"""The statements that the engines with rows execute, each one by primary key.

Everything runs on the router's write database. A row travels as a Row, not as a model instance.
Each statement is tried again where the database asks for that: see models/retry.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import Error, OperationalError, connections, models, router, transaction
from django.db.models import F
from django.db.models.deletion import Collector

from ..models import retry
from ..models.retry import Written, is_conflict, is_undone, run_again
from ..models.savepoints import savepoint
from ..models.tables import AbstractSession
from . import statements


class Row(NamedTuple):
    """What the engines know of a row; times as Unix times."""

    data: bytes
    version: int
    epoch: int
    user_id: Any
    created_at: float
    last_seen_at: float
    expires_at: float
    generation: int
    generation_confirmed_at: float | None
    next_issued_at: float | None
    cookie_until: float | None

    def __repr__(self) -> str:
        """Show no data: tracebacks go to error trackers."""
        return f"<Row of epoch {self.epoch}, version {self.version}>"


_OWN_COLUMNS = frozenset(field.attname for field in AbstractSession._meta.local_fields)

Model = type[models.Model]
T = TypeVar("T")


def fetch(model: Model, pk: UUID) -> Row | None:
    """Return the row, None where there is none."""
    using = _database(model)
    select = partial(statements.select(model, using, Row._fields), pk)
    try:
        return _row(select())
    except OperationalError as error:  # SERIALIZABLE: even what only reads may lose a race
        if not is_conflict(error) or is_undone(error, using):
            raise
        return _row(run_again(using, select))


def fetch_many(model: Model, pks: list[UUID]) -> dict[UUID, Row]:
    """Return the rows that are there, by primary key."""
    found = model._base_manager.using(_database(model)).filter(pk__in=pks)
    rows = ((values[0], _row(values[1:])) for values in found.values_list("pk", *Row._fields))
    return {pk: row for pk, row in rows if row is not None}


def fetch_locked(model: Model, pk: UUID) -> Row | None:
    """Return the newest state of the row and hold it until the transaction ends."""
    using = _database(model)
    queryset = model._base_manager.using(using).filter(pk=pk)
    if connections[using].features.has_select_for_update:
        queryset = queryset.select_for_update()
    else:  # SQLite: the first write takes the lock on the whole database
        queryset.update(version=F("version"))
    return _row(queryset.values_list(*Row._fields).first())


def _row(values: Sequence[Any] | None) -> Row | None:
    if values is None:
        return None
    rest: list[Any] = [_unix(one) if isinstance(one, datetime) else one for one in values[1:]]
    return Row(bytes(values[0]), *rest)


def row_of(instance: Any) -> Row:
    """Return the row that an instance was inserted as."""
    row = _row([getattr(instance, name) for name in Row._fields])
    assert row is not None
    return row


def update(model: Model, pk: UUID, columns: dict[str, Any], **expected: Any) -> bool:
    """Set `columns` of the row, if it has the `expected` numbers as well; tell whether it did."""
    if columns.keys() - _OWN_COLUMNS:  # a project's, whose fields may do as they like
        return update_where(model, pk, columns, **expected)
    using = _database(model)
    statement = statements.update(model, using, tuple(columns), tuple(expected))
    found = list(columns.values()), list(expected.values())
    return run_again(using, partial(statement, pk, *found)) == 1


def update_where(model: Model, pk: UUID, columns: dict[str, Any], **where: Any) -> bool:
    """As update(), for columns that are expressions and any condition a queryset takes."""
    using = _database(model)
    rows = model._base_manager.using(using).filter(pk=pk, **where)
    changed: int = run_again(using, partial(rows.update, **columns))
    return changed == 1


def locked(model: Model, write: Callable[[], T]) -> T:
    """Call `write`, which uses fetch_locked(), in the transaction that it needs."""
    using = _database(model)
    return run_again(using, partial(_in_transaction, using, write))


def _in_transaction(using: str, write: Callable[[], T]) -> T:
    connection = connections[using]
    is_own = connection.get_autocommit()
    with transaction.atomic(using=using):
        if is_own and connection.vendor == "postgresql":
            # Or at REPEATABLE READ each who has waited for the row loses it: 9 of 120 writes by 20
            # threads were lost so, after seven tries each.
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return write()


def written_in_transaction(model: Model) -> Written | None:
    """Return what tells whether what was just written is rolled back; None outside of that."""
    return retry.written_in_transaction(_database(model))


def exists(model: Model, pk: UUID) -> bool:
    return model._base_manager.using(_database(model)).filter(pk=pk).exists()


def insert(instance: models.Model) -> None:
    """Insert a row. Raises IntegrityError where its id is taken."""
    using = router.db_for_write(type(instance), instance=instance)
    run_again(using, partial(_insert, instance, using))


def _insert(instance: models.Model, using: str) -> None:
    with savepoint(using):
        instance.save(force_insert=True, using=using)


def delete(model: Model, pk: UUID | str, **where: Any) -> bool:
    """Delete the row, with what a project's models hang on it; tell whether it was there.

    Arguments: `where` is what must hold of it, such as its epoch.
    """
    using = _database(model)
    queryset = model._base_manager.using(using).filter(pk=pk, **where)
    if Collector(using=using, origin=queryset).can_fast_delete(queryset):
        deleted: int = run_again(using, partial(queryset._raw_delete, using))
    else:
        deleted = run_again(using, queryset.delete)[0]
    return deleted > 0


def is_broken(model: Model, error: Error) -> bool:
    """Tell whether a transaction waits for its rollback, or has had it: that is no outage."""
    using = _database(model)
    return bool(connections[using].needs_rollback) or is_undone(error, using)


def _database(model: Model) -> str:
    return router.db_for_write(model)


def _unix(value: datetime) -> float:
    if value.tzinfo is None:  # in the hour that a clock repeats in autumn, the one that it is now
        value = value.replace(fold=datetime.now().fold)
    return value.timestamp()
