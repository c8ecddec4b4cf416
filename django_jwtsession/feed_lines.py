"""The lines of the table Revocation, as the feed reads them."""

from __future__ import annotations

from datetime import UTC
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Field, Func

# Unix time of a column that holds UTC, in the words of each database.
_UNIX_TIME = {
    "postgresql": "EXTRACT(EPOCH FROM %(expressions)s)::float8",
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', %(expressions)s) / 1e6",
    "sqlite": "((julianday(%(expressions)s) - 2440587.5) * 86400)",
}


class Line(NamedTuple):
    """A row of Revocation; times are Unix times."""

    pk: int
    subject: str
    before: float | None
    keep_sid: str
    reason: str
    created_at: float
    expires_at: float


def read_lines(entries: Any) -> list[Line]:
    """Return the lines of a queryset.

    The database counts the seconds, where its times are UTC: to make two datetimes of each line
    takes three times as long as all the rest.
    """
    *columns, created_at, expires_at = Line._fields
    connection = connections[entries.db]
    template = _UNIX_TIME.get(connection.vendor)
    if template is None or connection.timezone != UTC:  # None where USE_TZ is off
        rows = entries.values_list(*Line._fields)
        return [Line._make([*row[:-2], *(at.timestamp() for at in row[-2:])]) for row in rows]
    times = [
        Func(name, template=template, output_field=Field()) for name in (created_at, expires_at)
    ]
    return list(map(Line._make, entries.values_list(*columns, *times)))
