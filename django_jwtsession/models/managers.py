"""Querysets of the tables."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from django.contrib.sessions.backends.base import UpdateError
from django.core.exceptions import FieldError
from django.db import models, router
from django.db.models import sql
from django.utils import timezone

from ..tokens.session_key import split
from .retry import run_again

if TYPE_CHECKING:
    _Manager = models.Manager[Any]
else:
    _Manager = models.Manager

_NO_COLUMN = (
    "session_key is no column of this table: it opens the session. filter(session_key=..) finds the"
    " row of a key, row.session_key reads it; to name a session take its sid."
)


class ExpiringQuerySet(models.QuerySet[Any]):
    """Rows that end at `expires_at`."""

    def in_force(self) -> Self:
        """Return the rows that have not reached their end."""
        return self.filter(expires_at__gt=timezone.now())


class RevocationQuerySet(models.QuerySet[Any]):
    """Lines of the feed, whose times are seconds since 1970."""

    def in_force(self) -> Self:
        """Return the lines that a living token may need."""
        return self.filter(expires_at__gt=time.time())


class SessionQuery(sql.Query):
    """Knows the names that code for Django's model asks for: `expire_date`, `session_key`.

    The first is another name of `expires_at`. The second finds the row that it opens, also as `pk`,
    which it is in Django's table; one that opens none finds none (one query to see that).
    """

    def build_filter(self, filter_expr: Any, *args: Any, **kwargs: Any) -> Any:
        """As Django's."""
        if isinstance(filter_expr, tuple):
            filter_expr = self._by_key(*filter_expr)
        return super().build_filter(filter_expr, *args, **kwargs)

    def names_to_path(self, names: Any, *args: Any, **kwargs: Any) -> Any:
        """As Django's."""
        first, *others = names
        if first == "session_key":
            raise FieldError(_NO_COLUMN)
        if first == "expire_date":
            names = ["expires_at", *others]
        return super().names_to_path(names, *args, **kwargs)

    def add_fields(self, field_names: Any, *args: Any, **kwargs: Any) -> None:
        """As Django's, which has an error of its own for what is no column."""
        if "session_key" in field_names:
            raise FieldError(_NO_COLUMN)
        super().add_fields(field_names, *args, **kwargs)

    def _by_key(self, condition: str, value: Any) -> tuple[str, Any]:
        name, _, lookup = condition.partition("__")
        many = lookup == "in"
        if lookup not in ("", "exact", "in") or hasattr(value, "resolve_expression"):
            return condition, value
        values = list(value) if many else [value]
        if name == "session_key":
            return "pk__in", [pk for pk in map(self._pk_of_key, values) if pk is not None]
        if name == "pk" and any(map(_is_key, values)):
            found = [self._pk_of_key(pk) if _is_key(pk) else pk for pk in values]
            return "pk__in", [pk for pk in found if pk is not None]
        return condition, values if many else value

    def _pk_of_key(self, key: Any) -> Any:
        model: Any = self.model
        return model.get_session_store_class().pk_of_key(key) if key else None


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and split(value) is not None


class SessionQuerySet(ExpiringQuerySet):
    """Sessions; code for Django's model finds them by its names, see SessionQuery."""

    def __init__(self, model: Any = None, query: Any = None, **kwargs: Any) -> None:
        super().__init__(model, query or SessionQuery(model), **kwargs)

    def revoke(self, by: Any = None, reason: str = "revoked") -> int:
        """End the sessions for everyone who holds their cookies; return how many there were.

        Arguments: `by` is the user who ends them, `reason` a word for the history.
        """
        from ..revocation.ending import revoke_rows

        return revoke_rows(self, by=by, reason=reason)

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's; sessions that have not expired end as by revoke().

        What deletes rows past it (SQL, a cascade) ends `hybrid`'s only after REVALIDATE_AFTER.
        """
        rows: Any = self
        # What Django refuses to delete below ends nothing.
        is_refused = rows.query.is_sliced or rows.query.distinct_fields or rows._fields is not None
        ended = 0 if is_refused else self.in_force().revoke()
        count, by_model = run_again(self.db, super().delete)
        if ended:
            label = self.model._meta.label
            by_model[label] = by_model.get(label, 0) + ended
        return count + ended, by_model

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    async def arevoke(self, by: Any = None, reason: str = "revoked") -> int:
        """See revoke()."""
        from asgiref.sync import sync_to_async

        return await sync_to_async(self.revoke)(by, reason)


class WriteDatabaseManager(_Manager):
    """Reads where the writes go: a lagging replica must neither log in nor log out."""

    def get_queryset(self) -> Any:
        queryset = super().get_queryset()
        return queryset.using(self._db or router.db_for_write(self.model))


RevocationManager = WriteDatabaseManager.from_queryset(RevocationQuerySet, "RevocationManager")
EventManager = WriteDatabaseManager


class SessionManager(WriteDatabaseManager.from_queryset(SessionQuerySet)):  # type: ignore[misc]
    """What code written for the manager of Django's sessions finds."""

    def save(self, session_key: str, session_dict: dict[str, Any], expire_date: datetime) -> Any:
        """Replace what the session of a key holds, and its end; without data, delete the session.

        Returns the row. Raises UpdateError if the key opens no session, as a row alone would not.
        """
        store = self.model.get_session_store_class()(session_key)
        row = self.filter(session_key=session_key).first()
        if row is None:
            raise UpdateError
        if not session_dict:
            store.delete()
            return row
        store.clear()
        store.update(session_dict)
        store.save()
        same = self.filter(pk=row.pk)
        run_again(same.db, partial(same.update, expires_at=expire_date))
        row.refresh_from_db()
        return row
