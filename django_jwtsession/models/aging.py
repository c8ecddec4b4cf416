"""IP_AGE: addresses become their prefix some time after they were noted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import router
from django.db.models import Q, QuerySet
from django.utils import timezone

from ..conf import get_config
from ..devices.clients import prefix
from .registry import event_model
from .retry import run_again

BATCH = 200
# Logins look no further back: what is older is the matter of clearsessions, which looks at all.
_BACK_AT_LOGIN = timedelta(days=7)

# Up to when logins of this process have done it, for each table.
_reached: dict[Any, datetime] = {}


def age_addresses(sessions: Any) -> int:
    """Cut all addresses that are older than IP_AGE; return how many there were.

    Arguments: `sessions` is the model of the sessions.
    """
    return sum(
        _cut(rows) for table in _tables(sessions) for rows, _ in _batches(*table, since=None)
    )


def age_some_addresses(sessions: Any, limit: int) -> None:
    """Cut what has become too old since this process looked, up to `limit` rows of each table."""
    for model, column, until in _tables(sessions):
        since = max(_reached.get(model, until - _BACK_AT_LOGIN), until - _BACK_AT_LOGIN)
        for rows, reached in _batches(model, column, until, since=since, size=limit):
            _cut(rows)
            _reached[model] = reached
            break
        else:
            _reached[model] = until


def _tables(sessions: Any) -> Iterator[tuple[Any, str, datetime]]:
    """Yield each table with the column that says how old an address is, and what is too old."""
    age = get_config().ip_age
    if age is None:
        return
    until = timezone.now() - timedelta(seconds=age)
    yield event_model(), "created_at", until
    yield sessions, "last_seen_at", until


def _batches(
    model: Any, column: str, until: datetime, since: datetime | None, size: int = BATCH
) -> Iterator[tuple[list[Any], datetime]]:
    """Yield rows whose address may be whole, oldest first, each batch with the time it reaches."""
    rows: QuerySet[Any] = model._base_manager.using(router.db_for_write(model))
    whole = ~Q(ip_address__endswith=".0") & Q(ip_address__isnull=False)
    names = ["pk", column, "ip_address"]
    if model is event_model():  # of a copied cookie, both addresses stand in the event
        whole |= Q(kind__in=model.COPIED)
        names += ["kind", "detail"]
    rows = rows.filter(whole, **{f"{column}__lte": until}).only(*names).order_by(column, "pk")
    last: Any = None
    while True:
        rest = rows if since is None else rows.filter(**{f"{column}__gte": since})
        if last is not None:
            at = getattr(last, column)
            rest = rows.filter(Q(**{column: at, "pk__gt": last.pk}) | Q(**{f"{column}__gt": at}))
            rest = rest.filter(**{f"{column}__gte": at})
        batch = list(rest[:size])
        if not batch:
            return
        last = batch[-1]
        yield batch, getattr(last, column)


def _cut(rows: list[Any]) -> int:
    """Write the prefixes of some rows; return how many were not cut yet."""
    changed = [row for row in rows if _shorten(row)]
    if changed:
        model, names = type(changed[0]), ["ip_address"]
        if model is event_model():
            names.append("detail")
        using = changed[0]._state.db
        rows_of_model = model._base_manager.using(using)
        run_again(using, partial(rows_of_model.bulk_update, changed, names))
    return len(changed)


def _shorten(row: Any) -> bool:
    before = (row.ip_address, None)
    after: tuple[Any, Any] = (row.ip_address and prefix(row.ip_address), None)
    if isinstance(row, event_model()) and row.kind in row.COPIED:
        old = row.detail.get("ip_address")
        before, after = (before[0], old), (after[0], old and prefix(old))
        if before != after:
            row.detail = {**row.detail, "ip_address": after[1]}
    row.ip_address = after[0]
    return before != after
