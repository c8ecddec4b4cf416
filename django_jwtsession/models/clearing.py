"""Deleting what has expired: in small batches, so that writers are not held up."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db import Error, router, transaction
from django.utils import timezone

from ..conf import get_config, in_test_environment
from .aging import age_addresses, age_some_addresses
from .registry import event_model, moved_model, revocation_model, session_model
from .retry import in_transaction, run_again

logger = logging.getLogger("django_jwtsession")
# How far clearing has come; `clearsessions --verbosity 2` shows it.
progress = logging.getLogger("django_jwtsession.cleanup")

BATCH = 200
_SAY_EVERY = 1.0
_AT_LOGIN_EVERY = 10.0

_lock = threading.Lock()
_next_at_login = 0.0
# Up to when logins have cleared each table: see Expiring.since.
_reached: dict[Any, Any] = {}
_WRITTEN_LATE = 3600.0


def clear_expired(store: Any = None) -> None:
    """Delete all expired rows of the package's tables, each batch a statement of its own.

    Then IP_AGE is carried out: see aging.

    Between two batches it rests for as long as one took.

    May be stopped at any point: what is left is cleared by the next run. Says on the logger
    `django_jwtsession.cleanup`, at INFO, how far it has come.

    Arguments: `store` is the SessionStore class whose table is meant, the site's by default.
    """
    for table in expiring(store):
        cleared, said_at = 0, time.monotonic()
        rest: Expiring | None = table
        while rest is not None:
            began_at = time.monotonic()
            using = router.db_for_write(rest.model)
            count, rest = run_again(using, partial(clear_batch, rest, BATCH))
            cleared += count
            now = time.monotonic()
            if now - said_at >= _SAY_EVERY:
                said_at = now
                _say(table, cleared)
            if rest is not None:  # half of the time is the writers'
                time.sleep(now - began_at)
        _say(table, cleared)
    age_addresses(session_model(store))


class Expiring(NamedTuple):
    """A table and what has expired in it: rows whose `column` is not after `until`."""

    model: Any
    column: str
    until: Any  # of the column's type: a datetime, or seconds since 1970
    # None of them is before this: an index begins with all the rows that were just deleted, until
    # the database tidies up, and each batch would read over them again.
    since: Any = None
    # The key of a row that stays: the newest line of the feed, by which processes see that the
    # table is still the one that they read.
    kept: int | None = None


def expiring(store: Any = None) -> list[Expiring]:
    """Return what has expired now, in all tables."""
    now, feed = timezone.now(), revocation_model()
    history_ends = now - timedelta(seconds=get_config().history_age)
    return [
        Expiring(session_model(store), "expires_at", now),
        Expiring(feed, "expires_at", time.time(), kept=_newest(feed)),
        Expiring(moved_model(), "expires_at", time.time()),
        Expiring(event_model(), "created_at", history_ends),
    ]


def _newest(model: Any) -> int | None:
    keys = model._base_manager.using(router.db_for_write(model)).order_by("-pk")
    newest: int | None = keys.values_list("pk", flat=True).first()
    return newest


def clear_batch(table: Expiring, limit: int) -> tuple[int, Expiring | None]:
    """Delete up to `limit` expired rows, the oldest first.

    Returns how many there were, and what is left to clear: None for nothing.
    """
    rows = table.model._base_manager.using(router.db_for_write(table.model))
    column, expired = table.column, rows.filter(**{f"{table.column}__lte": table.until})
    if table.since is not None:
        expired = expired.filter(**{f"{column}__gte": table.since})
    if table.kept is not None:
        expired = expired.exclude(pk=table.kept)
    times = list(expired.order_by(column).values_list(column, flat=True)[: limit + 1])
    if len(times) <= limit:
        return (expired.delete()[0] if times else 0), None
    end = times[limit]
    # By a range of the index, which finds the rows without looking each of them up.
    batch = expired.filter(**{f"{column}__lt": end})
    if times[0] == end:  # many at one moment; MariaDB has no LIMIT in the subquery of a DELETE
        pks = expired.filter(**{column: end}).values_list("pk", flat=True)[:limit]
        batch = expired.filter(pk__in=list(pks))
    return batch.delete()[0], table._replace(since=end)


def _say(table: Expiring, cleared: int) -> None:
    progress.info("%s: %d expired rows cleared", table.model._meta.db_table, cleared)


def clear_at_login() -> None:
    """Clear some expired rows on a login's way, so that the tables stay small with no cron.

    At most CLEAR_AT_LOGIN rows, at most every 10 s a process, never in Django's test environment,
    where projects count queries. A failure is logged and nothing else.
    """
    global _next_at_login
    limit = get_config().clear_at_login
    if not limit or in_test_environment():
        return
    with _lock:
        now = time.monotonic()
        if now < _next_at_login:
            return
        _next_at_login = now + _AT_LOGIN_EVERY
    using = router.db_for_write(session_model())
    if in_transaction(using):
        # A deadlock within the login's would take the login back; its locks stay until it ends.
        transaction.on_commit(partial(_clear_some, limit), using=using, robust=True)
    else:
        _clear_some(limit)


def _clear_some(limit: int) -> None:
    try:
        for table in expiring():
            from_here, using = _from_where_it_came(table), router.db_for_write(table.model)
            _, rest = run_again(using, partial(_clear_in_savepoint, from_here, limit, using))
            _reached[table.model] = (rest and rest.since) or table.until
        age_some_addresses(session_model(), limit)
    except Error:
        logger.warning("Clearing expired sessions at a login failed.", exc_info=True)


def _clear_in_savepoint(table: Expiring, limit: int, using: str) -> tuple[int, Expiring | None]:
    # Of a TestCase, or of a transaction on the database of another table.
    with transaction.atomic(using=using):
        return clear_batch(table, limit)


def _from_where_it_came(table: Expiring) -> Expiring:
    """Leave out what logins have cleared, less an hour; nothing where the clock was set back."""
    reached = _reached.get(table.model)
    if reached is None or reached > table.until:
        return table
    late = timedelta(seconds=_WRITTEN_LATE) if isinstance(reached, datetime) else _WRITTEN_LATE
    return table._replace(since=reached - late)
