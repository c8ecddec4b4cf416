"""The key to which a session is bound; beside the session's data, where parallel requests write."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models

from ...conf import get_config
from ...models.managers import WriteDatabaseManager
from ...models.times import to_datetime
from ...tokens.sid import uuid_from_sid


class Binding(models.Model):
    """A session's key, by the session's id; it counts as long as the session lives.

    No foreign key: the session's table may be a project's own, or in another database.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    jwk = models.JSONField()
    thumbprint = models.CharField(max_length=43)
    algorithm = models.CharField(max_length=16)
    bound_at = models.DateTimeField()
    last_proof_at = models.DateTimeField(db_index=True)
    # The millisecond of the newest challenge that was answered: it and those before it are used.
    answered = models.PositiveBigIntegerField(default=0)

    objects: ClassVar[Any] = WriteDatabaseManager()

    class Meta:
        app_label = "dbsc"

    def __str__(self) -> str:
        return self.thumbprint

    @classmethod
    def of(cls, sid: str) -> Self | None:
        """Return the binding of a session, None for none."""
        found: Self | None = cls.objects.filter(pk=uuid_from_sid(sid)).first()
        return found

    def answer(self, challenge_at: int) -> bool:
        """Note that a challenge was answered now; False where it, or a later one, was before."""
        rows = Binding.objects.filter(pk=self.pk, bound_at=self.bound_at, answered__lt=challenge_at)
        return bool(rows.update(answered=challenge_at, last_proof_at=to_datetime(time.time())))

    @classmethod
    def clear(cls, now: datetime) -> None:
        """Delete up to 100 bindings whose sessions have all ended by their absolute age."""
        age = max(get_config().absolute_age, settings.SESSION_COOKIE_AGE) + 86400
        old = cls.objects.filter(last_proof_at__lt=now - timedelta(seconds=age))
        cls.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:100])).delete()
