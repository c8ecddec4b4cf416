"""The lines of the table Revocation, as the feed reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Field, Func

from ..models.times import to_datetime

# Unix time of a column that holds UTC, in the words of each database.
_UNIX_TIME = {
    "postgresql": "EXTRACT(EPOCH FROM %(expressions)s)::float8",
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', %(expressions)s) / 1e6",
    "sqlite": "((julianday(%(expressions)s) - 2440587.5) * 86400)",
}

# When an entry was made, by the database's clock: Unix time where that is clear, else as it says.
Moment = float | datetime


class Line(NamedTuple):
    """A row of Revocation; times are Unix times."""

    pk: int
    subject: str
    before: float | None
    keep_sid: str
    reason: str
    expires_at: float
    created_at: float
    moment: Moment


def read_lines(entries: Any) -> list[Line]:
    """Return the lines of a queryset.

    The database counts the seconds, where its times are UTC: to make two datetimes of each line
    takes three times as long as all the rest.
    """
    *columns, expires_at, created_at, _ = Line._fields
    ends, begins = _unix_time(entries, expires_at), _unix_time(entries, created_at)
    if ends is None or begins is None:
        rows = entries.values_list(*columns, expires_at, created_at)
        return [
            Line._make([*row[:-2], row[-2].timestamp(), row[-1].timestamp(), row[-1]])
            for row in rows
        ]
    rows = entries.values_list(*columns, ends, begins)
    return [Line._make([*row, row[-1]]) for row in rows]


def read_moments(entries: Any) -> set[tuple[int, Moment]]:
    """Return the key and the moment of each line of a queryset.

    Both, as a key does not name one entry for ever: SQLite gives it out again after a rollback.
    """
    moment = _unix_time(entries, "created_at") or "created_at"
    return set(entries.values_list("pk", moment))


def to_stored(moment: Moment) -> datetime:
    """Return a moment as the column created_at holds it."""
    return moment if isinstance(moment, datetime) else to_datetime(moment)


def _unix_time(entries: Any, column: str) -> Func | None:
    """Return the Unix time of a column as an expression; None where times are not kept in UTC."""
    connection = connections[entries.db]
    template = _UNIX_TIME.get(connection.vendor)
    if template is None or connection.timezone != UTC:  # None where USE_TZ is off
        return None
    return Func(column, template=template, output_field=Field())
