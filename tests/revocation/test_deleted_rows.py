"""Rows that are deleted as sites with Django's own sessions delete them: their sessions end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_jwtsession.models import Revocation, Session, SessionEvent
from django_jwtsession.models.times import to_datetime
from django_jwtsession.revocation import feed
from tests.conftest import ENGINES, NOW, Visit, read, write
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db

EXPIRED = to_datetime(NOW - 1)


@pytest.fixture(autouse=True)
def _clock(clock: Any) -> None:
    feed.forget()


@pytest.mark.parametrize("name", ["db", "hybrid"])
@pytest.mark.parametrize(
    "delete",
    [
        lambda: Session.objects.all().delete(),
        lambda: Session.objects.filter(expire_date__gt=to_datetime(NOW)).delete(),
        lambda: Session.objects.get().delete(),
    ],
    ids=["all rows", "some rows", "a row"],
)
def test_session_is_over_as_its_row_is_deleted(
    visit: Visit, settings: Any, name: str, delete: Callable[[], Any]
) -> None:
    settings.SESSION_ENGINE = ENGINES[name]
    visit(write(x=1))
    assert visit(read).content == b"[('x', 1)]"
    assert delete() == (1, {"django_jwtsession.Session": 1})
    assert visit(read).content == b"[]"
    assert not Session.objects.exists()
    assert SessionEvent.objects.get().kind == "revoked"


def test_what_has_expired_is_deleted_and_nothing_is_told_of_it() -> None:
    SessionFactory.create_batch(2, expires_at=EXPIRED)
    living: Any = SessionFactory()
    assert Session.objects.all().delete()[0] == 3
    assert [line.name for line in Revocation.objects.all()] == [living.sid]
    assert [event.sid for event in SessionEvent.objects.all()] == [living.sid]


def test_what_django_refuses_to_delete_ends_nothing() -> None:
    row: Any = SessionFactory()
    refused: list[Any] = [Session.objects.all()[:1], Session.objects.values("pk")]
    for rows in refused:
        with pytest.raises(TypeError):
            rows.delete()
    with pytest.raises(ValueError, match="can't be deleted"):
        Session(pk=None).delete()
    assert Session.objects.get() == row
    assert not hasattr(Session.objects, "delete")


def test_deleted_row_has_no_key_any_more() -> None:
    row: Any = SessionFactory()
    row.delete()
    assert row.pk is None


async def test_rows_are_deleted_by_async_code_too(django_db_blocker: Any) -> None:
    assert await Session.objects.all().adelete() == (0, {})
