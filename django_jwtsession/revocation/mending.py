"""What a failover has lost of the ends of sessions is done again, as far as a process read it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import router
from django.db.models import QuerySet

from ..exceptions import BadToken
from ..models.registry import session_model
from ..models.retry import run_again
from ..models.times import to_datetime
from ..tokens.sid import uuid_from_sid
from . import reader
from .entries import SESSION, USER, Line


def end_again(lines: list[Line]) -> None:
    """Write lines that the database has lost, and delete the rows that came back with their loss.

    A standby that has missed the line may have missed the DELETE before it: the engine `db` would
    let the session in again.
    """
    reader.write_again(lines)
    for line in lines:
        with suppress(BadToken, ValueError):  # a name that is no sid, or no key of a user
            rows = _rows(line)
            run_again(rows.db, rows.delete)


def _rows(line: Line) -> QuerySet[Any]:
    """Return the rows of the sessions that a line ends."""
    model = session_model()
    rows: QuerySet[Any] = model._base_manager.using(router.db_for_write(model))
    if line.kind == SESSION:
        rows = rows.filter(pk=uuid_from_sid(line.name))
        return rows if line.epoch is None else rows.filter(epoch__lte=line.epoch)
    rows = rows.filter(authenticated_at__lt=to_datetime(line.before or 0.0))
    if line.kind == USER:
        rows = rows.filter(user_id=line.name)
    return rows.exclude(pk=uuid_from_sid(line.keep_sid)) if line.keep_sid else rows
