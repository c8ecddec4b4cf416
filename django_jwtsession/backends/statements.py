"""SQL that was written once, executed again with other parameters.

Building a queryset and compiling it costs 300-500 us, more than the database takes to answer a
statement by primary key. Only for statements whose text depends on nothing but the model,
the database and the names of the columns: no expressions, no NULL in a condition, and no fields of
others, which may want SQL of their own around a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import uuid4

from django.core.signals import setting_changed
from django.db import connections, models

Model = type[models.Model]


class Select:
    """SELECT of some columns of one row by primary key."""

    def __init__(self, model: Model, using: str, columns: Sequence[str]) -> None:
        self._using = using
        self._pk = model._meta.pk
        queryset = model._base_manager.using(using).filter(pk=uuid4())
        query = queryset.values_list(*columns).query
        compiler = query.get_compiler(using=using)
        self._sql, _ = compiler.as_sql()
        expressions = [expression for expression, _, _ in compiler.select]
        self._converters = list(compiler.get_converters(expressions).items())

    def __call__(self, pk: Any) -> list[Any] | None:
        """Return the values of the columns, None where there is no such row."""
        connection = connections[self._using]
        with connection.cursor() as cursor:
            cursor.execute(self._sql, (self._pk.get_db_prep_value(pk, connection),))
            found = cursor.fetchone()
        if found is None:
            return None
        row = list(found)
        for position, (converters, expression) in self._converters:
            for convert in converters:
                row[position] = convert(row[position], expression, connection)
        return row


class Update:
    """UPDATE of some columns of one row by primary key and conditions of equality."""

    def __init__(
        self, model: Model, using: str, columns: Sequence[str], conditions: Sequence[str]
    ) -> None:
        self._using = using
        self._columns: list[Any] = [model._meta.get_field(name) for name in columns]
        conditions = [model._meta.pk.attname, *conditions]
        self._where: list[Any] = [model._meta.get_field(name) for name in conditions]
        connection = connections[using]
        quote = connection.ops.quote_name
        changed = ", ".join(f"{quote(f.column)} = {_placeholder(f, using)}" for f in self._columns)
        where = " AND ".join(f"{quote(field.column)} = %s" for field in self._where)
        self._sql = f"UPDATE {quote(model._meta.db_table)} SET {changed} WHERE {where}"  # noqa: S608

    def __call__(self, pk: Any, values: Sequence[Any], expected: Sequence[Any]) -> int:
        """Set the columns to `values` where the conditions are as `expected`; return how many."""
        connection = connections[self._using]
        params = [
            field.get_db_prep_save(value, connection)
            for field, value in zip(self._columns, values, strict=True)
        ]
        params += [
            field.get_db_prep_value(value, connection)
            for field, value in zip(self._where, (pk, *expected), strict=True)
        ]
        with connection.cursor() as cursor:
            cursor.execute(self._sql, params)
            count: int = cursor.rowcount
        return count


# Bounded by the models, databases and sets of columns that the engines use.
select = cache(Select)
update = cache(Update)


def _forget(**kwargs: Any) -> None:
    """Converters depend on USE_TZ and on time zones."""
    select.cache_clear()
    update.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_jwtsession.statements")


def _placeholder(field: Any, using: str) -> str:
    """Return what stands in SQL for a value of `field`, none of which is an expression."""
    if isinstance(field, models.BinaryField) and connections[using].vendor == "mysql":
        return "_binary %s"  # or MySQL warns of bytes that are no text
    return "%s"
