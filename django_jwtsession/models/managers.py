"""Querysets of the tables."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.contrib.sessions.backends.base import UpdateError
from django.db import models, router
from django.utils import timezone

if TYPE_CHECKING:
    _Manager = models.Manager[Any]
else:
    _Manager = models.Manager


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


class SessionQuerySet(ExpiringQuerySet):
    """Sessions; found by `session_key` and `expire_date` too, as code for Django's model asks.

    A `session_key` that opens no session finds none (one query to see that).
    """

    def filter(self, *args: Any, **kwargs: Any) -> Self:
        """As Django's."""
        return super().filter(*args, **self._ours(kwargs))

    def exclude(self, *args: Any, **kwargs: Any) -> Self:
        """As Django's."""
        return super().exclude(*args, **self._ours(kwargs))

    def _ours(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the conditions by the names of our columns."""
        found: dict[str, Any] = {}
        for name, value in kwargs.items():
            field, *lookup = name.split("__")
            if name == "session_key":
                model: Any = self.model
                found["pk"] = model.get_session_store_class().pk_of_key(value) if value else None
            elif field == "expire_date":
                found["__".join(["expires_at", *lookup])] = value
            else:
                found[name] = value
        return found

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
        count, by_model = super().delete()
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
        self.filter(pk=row.pk).update(expires_at=expire_date)
        row.refresh_from_db()
        return row
