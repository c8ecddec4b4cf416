"""What is kept on a person: as JSON, and gone (GDPR 15, 17, 20)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, router
from django.db.models import QuerySet
from django.utils import timezone

from ...models.tables import Revocation, SessionEvent
from ...pages.listing import engine_model
from ...revocation.ending import revoke_user_sessions
from ...revocation.reasons import EndReason
from ...tokens.sid import uuid_from_sid

_BATCH = 1000


def export(user: Any) -> str:
    """Return a JSON object of what is kept on a user: each table's rows, oldest first.

    Session data is left out, as everywhere: it may hold what opens other doors, and only the code
    that wrote it knows what of it is about the person.
    """
    kept = [*_rows_of(user, "user"), *_rows_by_sid(user)]
    tables = {rows.model._meta.label_lower: _plain(rows) for rows in kept}
    done = {
        rows.model._meta.label_lower: list(rows.order_by("pk").values("kind", "created_at"))
        for rows in _rows_of(user, "actor")
    }
    found = {
        "user": {"id": user.pk, "name": user.get_username()},
        "exported_at": timezone.now(),
        "tables": tables,
        # What the user did to sessions of others is told without those.
        "done_to_others": done,
    }
    return json.dumps(found, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)


def erase(user: Any) -> int:
    """End the sessions of a user and delete what is kept on them; return the number of rows.

    What stays is a line of the feed with the user's id, until no token of theirs could be valid.
    """
    by_sid = list(_rows_by_sid(user))  # as long as the sids are known
    revoke_user_sessions(user, reason=EndReason.COMMAND)
    for rows in _rows_of(user, "actor"):
        rows.filter(actor_id=user.pk).exclude(user_id=user.pk).update(actor=None)
    return sum(_delete(rows) for rows in [*_rows_of(user, "user"), *by_sid])


def _rows_of(user: Any, name: str) -> Iterator[QuerySet[Any]]:
    """Yield the rows of each table whose foreign key `name` is the user."""
    own = engine_model()
    found = [*apps.get_app_config("django_jwtsession").get_models(), *([own] if own else [])]
    for model in dict.fromkeys(found):
        names = {
            field.name: field
            for field in model._meta.concrete_fields
            if field.remote_field and field.remote_field.model is get_user_model()
        }
        if model is Revocation or name not in names:
            continue
        rows = model._base_manager.using(router.db_for_write(model)).filter(**{name: user.pk})
        yield rows if name == "user" else rows.exclude(user=user.pk)


def _rows_by_sid(user: Any) -> Iterator[QuerySet[Any]]:
    """Yield the rows that apps beside keep of the user's sessions, by `models_by_sid` of theirs."""
    found: set[UUID] = set()
    for rows in _rows_of(user, "user"):
        is_history = rows.model is SessionEvent
        names = rows.values_list("sid" if is_history else "pk", flat=True).distinct()
        found |= {uuid_from_sid(sid) for sid in names if sid} if is_history else {*names}
    for config in apps.get_app_configs():
        for name in getattr(config, "models_by_sid", ()):
            model = config.get_model(name)
            yield model._base_manager.using(router.db_for_write(model)).filter(pk__in=found)


def _plain(rows: QuerySet[Any]) -> list[dict[str, Any]]:
    fields = [
        field.attname
        for field in rows.model._meta.concrete_fields
        if not isinstance(field, models.BinaryField)
    ]
    return list(rows.order_by("pk").values(*fields))


def _delete(rows: QuerySet[Any]) -> int:
    """Delete in batches, so that writers are not held up."""
    count = 0
    while pks := list(rows.order_by("pk").values_list("pk", flat=True)[:_BATCH]):
        count += rows.model._base_manager.using(rows.db).filter(pk__in=pks).delete()[0]
    return count
