"""Deleting what has expired: in small batches, so that writers are not held up."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, NamedTuple

from django.conf import settings
from django.core import mail
from django.db import DatabaseError, router, transaction
from django.utils import timezone

from .conf import get_config

logger = logging.getLogger("django_jwtsession")

BATCH = 1000
_AT_LOGIN_EVERY = 10.0

_lock = threading.Lock()
_next_at_login = 0.0


def clear_expired(store: Any = None) -> None:
    """Delete all expired rows of the package's tables, each batch a statement of its own.

    Arguments: `store` is the SessionStore class whose table is meant, the site's by default.
    """
    for table in expiring(store):
        while clear_batch(table, BATCH) == BATCH:
            pass


class Expiring(NamedTuple):
    """A table and what has expired in it: rows whose `column` is not after `until`."""

    model: Any
    column: str
    until: datetime


def expiring(store: Any = None) -> list[Expiring]:
    """Return what has expired now, in all tables."""
    from .models import Revocation, SessionEvent

    now = timezone.now()
    return [
        Expiring(session_model(store), "expires_at", now),
        Expiring(Revocation, "expires_at", now),
        Expiring(SessionEvent, "created_at", now - timedelta(seconds=get_config().history_age)),
    ]


def clear_batch(table: Expiring, limit: int) -> int:
    """Delete up to `limit` expired rows, the oldest first; return how many there were."""
    rows = table.model._base_manager.using(router.db_for_write(table.model))
    expired = rows.filter(**{f"{table.column}__lte": table.until})
    # The ids first: MariaDB has no LIMIT in the subquery of a DELETE.
    ids = list(expired.order_by(table.column).values_list("pk", flat=True)[:limit])
    if ids:
        # A session that was extended meanwhile is none of them any more.
        expired.filter(pk__in=ids).delete()
    return len(ids)


def session_model(store: Any = None) -> Any:
    """Return the model of `store`, the site's engine by default; Session where it has no rows."""
    from .models import AbstractSession, Session

    store = store or import_module(settings.SESSION_ENGINE).SessionStore
    model = store.get_model_class() if hasattr(store, "get_model_class") else Session
    return model if issubclass(model, AbstractSession) else Session


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
    try:
        for table in expiring():
            # In a savepoint: a failure must not break the transaction that a login may run in.
            with transaction.atomic(using=router.db_for_write(table.model)):
                clear_batch(table, limit)
    except DatabaseError:
        logger.warning("Clearing expired sessions at a login failed.", exc_info=True)


def in_test_environment() -> bool:
    """Tell whether Django's setup_test_environment() is in force: only then is there an outbox."""
    # Not hasattr(): Django 6.1's module has a __getattr__, which makes an exception each time.
    return "outbox" in vars(mail)
