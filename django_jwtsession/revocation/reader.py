"""The lines of the table Revocation, as the feed reads them."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Count

from ..models.registry import revocation_model
from ..models.retry import run_again
from ..models.times import UnixNow
from .entries import SESSION, Line

# A line by its key and the moment it was made: after a failover keys are given out again.
Key = tuple[int, float]

# SQLite takes no more than 999 parameters where it is old.
_MOST_IDS = 500
PAGE = 10_000
# A Galera of three nodes gives out each third key.
_SPARSE = 4


class Page(NamedTuple):
    """Some lines in the order of their keys: sessions (sid, epoch, end), and the others whole."""

    sessions: list[tuple[str, int | None, float]]
    others: list[Line]
    last: int


def table() -> Any:
    """Return a queryset of all lines, on the database that this thread's place has."""
    return revocation_model().objects.all()


def clock_of_database() -> float:
    """Return the time (Unix time) by the clock that makes `created_at`; the table may be empty."""
    connection = connections[table().db]
    sql, _ = getattr(UnixNow(), f"as_{connection.vendor}")(None, connection)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sql}")  # a constant
        return float(cursor.fetchone()[0])


def keys_above(key: int) -> set[Key]:
    return set(table().filter(pk__gt=key).values_list("pk", "created_at"))


def newest_keys(count: int) -> list[Key]:
    """Return the keys of the newest lines, the newest first."""
    return list(table().order_by("-pk").values_list("pk", "created_at")[:count])


def lines_of(pks: list[int]) -> list[Line]:
    """Return the lines with these keys, which are in their order, in parts.

    By their range where that has few others: of 100,000 that have just come, which a database has
    not counted yet, it would read all for each list of keys, 9 s in place of 2.
    """
    found: list[Line] = []
    size = PAGE if pks and pks[-1] - pks[0] < _SPARSE * len(pks) else _MOST_IDS
    for start in range(0, len(pks), size):
        part = pks[start : start + size]
        among = {"pk__range": (part[0], part[-1])} if size == PAGE else {"pk__in": part}
        wanted = set(part)
        rows = table().filter(**among).values_list(*Line._fields)
        found += (Line._make(row) for row in rows if row[0] in wanted)
    return found


def lines_named(*names: str) -> list[Line]:
    """Return what is in force under just these names, whatever a collation takes for equal."""
    rows = table().in_force().filter(name__in=set(names)).values_list(*Line._fields)
    return [line for line in map(Line._make, rows) if line.name in names]


def lines_above(key: int) -> list[Line]:
    """Return the lines above a key, the expired as well: a poll would find their keys."""
    return list(map(Line._make, table().filter(pk__gt=key).values_list(*Line._fields)))


def page_between(key: int, up_to: int) -> Page:
    """Return the next lines in force above a key.

    In as few columns as may be: to read a million lines is the work of their values.
    """
    lines = table().in_force().filter(pk__gt=key, pk__lte=up_to).order_by("pk")
    rows = list(lines.values_list("pk", "kind", "name", "epoch", "expires_at")[:PAGE])
    others = [row[0] for row in rows if row[1] != SESSION]
    return Page(
        [row[2:] for row in rows if row[1] == SESSION],
        lines_of(others) if others else [],
        rows[-1][0] if len(rows) == PAGE else up_to,
    )


def counts_after(moment: int, up_to: int, but: set[int]) -> tuple[int, int]:
    """Return how many lines of sessions, and how many others, end after a moment.

    Arguments: `moment` is in whole seconds since 1970; of keys `up_to` one, leaving out `but`.
    """
    lines = table().filter(expires_at__gt=moment, pk__lte=up_to)
    if but:
        lines = lines.exclude(pk__in=but)
    found = dict(lines.order_by().values_list("kind").annotate(Count("pk")))
    sessions = found.pop(SESSION, 0)
    return sessions, sum(found.values())


def write_again(lines: list[Line]) -> None:
    """Insert lines that the database has lost, under new keys."""
    model, now = revocation_model(), time.time()
    names = [name for name in Line._fields if name not in ("pk", "created_at")]
    instances = [
        model(**{name: getattr(line, name) for name in names})
        for line in lines
        if line.expires_at > now
    ]
    write = partial(model.objects.bulk_create, instances, batch_size=_MOST_IDS // 10)
    run_again(model.objects.db, write)


def delete(pks: set[int]) -> None:
    """Delete lines whose place newer ones have taken."""
    keys = sorted(pks)
    for start in range(0, len(keys), _MOST_IDS):
        lines = table().filter(pk__in=keys[start : start + _MOST_IDS])
        run_again(lines.db, partial(lines._raw_delete, lines.db))
