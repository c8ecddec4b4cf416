"""The key to which a session is bound; beside the session's data, where parallel requests write."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models

from ...conf import get_config
from ...models.managers import WriteDatabaseManager
from ...models.retry import run_again
from ...models.times import to_datetime
from ...tokens.sid import uuid_from_sid


class Binding(models.Model):  # noqa: DJ008  # nobody sees one
    """A session's key, by the session's id; it counts as long as the session lives.

    No foreign key: the session's table may be a project's own, or in another database.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    jwk = models.JSONField()
    thumbprint = models.CharField(max_length=43)
    algorithm = models.CharField(max_length=16, default="ES256")
    bound_at = models.DateTimeField()
    last_proof_at = models.DateTimeField(db_index=True)
    # The microsecond of the newest challenge that was answered: it and those before it are used.
    answered = models.PositiveBigIntegerField(default=0)

    objects: ClassVar[Any] = WriteDatabaseManager()

    class Meta:
        app_label = "dbsc"

    @classmethod
    def of(cls, sid: str) -> Self | None:
        """Return the binding of a session, None for none."""
        return cls.objects.filter(pk=uuid_from_sid(sid)).first()  # type: ignore[no-any-return]

    @classmethod
    def bind(cls, sid: str, jwk: dict[str, str], thumbprint: str) -> Self | None:
        """Store the key of a session; None where it has one.

        On its way delete up to 100 keys whose sessions have all ended by their absolute age.
        """
        now = to_datetime(time.time())
        age = max(get_config().absolute_age, settings.SESSION_COOKIE_AGE) + 86400
        old = cls.objects.filter(last_proof_at__lt=now - timedelta(seconds=age))
        _again(cls.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:100])).delete)
        new = {"jwk": jwk, "thumbprint": thumbprint, "bound_at": now, "last_proof_at": now}
        made = _again(cls.objects.get_or_create, pk=uuid_from_sid(sid), defaults=new)
        return made[0] if made[1] else None

    def answer(self, challenge_at: int) -> bool:
        """Note that a challenge was answered now; False where it, or a later one, was before."""
        rows = Binding.objects.filter(pk=self.pk, bound_at=self.bound_at, answered__lt=challenge_at)
        last_proof_at = to_datetime(time.time())
        return bool(_again(rows.update, answered=challenge_at, last_proof_at=last_proof_at))

    @classmethod
    def drop(cls, sid: str | None) -> None:
        """Delete the binding of a session, if there is one."""
        _again(cls.objects.filter(pk=sid and uuid_from_sid(sid)).delete)


def _again(write: Callable[..., Any], **values: Any) -> Any:
    return run_again(Binding.objects.db, partial(write, **values))
