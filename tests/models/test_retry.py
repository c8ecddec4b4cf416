"""Statements that the database asks to be tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, IntegrityError, OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from django_jwtsession.models import Session, retry
from django_jwtsession.models.retry import is_conflict, run_again
from django_jwtsession.revocation import ending

from ..factories import SessionFactory


class DriverError(Exception):
    def __init__(self, *args: Any, sqlstate: str | None = None) -> None:
        super().__init__(*args)
        self.sqlstate = sqlstate


def error(*args: Any, sqlstate: str | None = None) -> OperationalError:
    found = OperationalError(*args)
    found.__cause__ = DriverError(*args, sqlstate=sqlstate)
    return found


CONFLICTS = [
    error(1213, "Deadlock found when trying to get lock"),
    error(1205, "Lock wait timeout exceeded"),
    error("could not serialize access", sqlstate="40001"),
    error("deadlock detected", sqlstate="40P01"),
]


class Statement:
    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.tries = failures, error, 0

    def __call__(self) -> str:
        self.tries += 1
        if self.tries <= self.failures:
            raise self.error
        return "done"


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Rests that take no time but move the clock."""
    found: list[float] = []
    monkeypatch.setattr(retry.time, "sleep", found.append)
    monkeypatch.setattr(retry.time, "monotonic", lambda: sum(found))
    return found


@pytest.mark.parametrize("conflict", CONFLICTS, ids=str)
@pytest.mark.django_db(transaction=True)
def test_conflict_is_tried_again_after_short_rests_that_do_not_grow(
    conflict: Exception, rests: list[float]
) -> None:
    """Who has lost twenty times has the same chance as a newcomer."""
    statement = Statement(20, conflict)
    assert run_again(DEFAULT_DB_ALIAS, statement) == "done"
    assert len(rests) == 20
    assert all(0.008 <= rest <= 0.04 for rest in rests)
    assert len(set(rests)) > 10  # those who have met do not meet again


@pytest.mark.django_db(transaction=True)
def test_tries_have_an_end(rests: list[float]) -> None:
    statement = Statement(9999, CONFLICTS[0])
    with pytest.raises(OperationalError) as raised:
        run_again(DEFAULT_DB_ALIAS, statement)
    assert 10 < sum(rests) < 10.1
    [note] = raised.value.__notes__
    assert "until patience ended" in note


@pytest.mark.django_db(transaction=True)
def test_transaction_of_our_own_is_tried_again_and_blames_nobody(rests: list[float]) -> None:
    inner = Statement(9999, error(1213, "Deadlock found"))

    def whole() -> str:
        with transaction.atomic():
            return run_again(DEFAULT_DB_ALIAS, inner)

    with pytest.raises(OperationalError) as raised:
        run_again(DEFAULT_DB_ALIAS, whole)
    assert inner.tries == len(rests) + 1 > 200
    [note] = raised.value.__notes__
    assert "owner" not in note


@pytest.mark.parametrize(
    "other",
    [error(2006, "gone away"), error("unique", sqlstate="23505"), IntegrityError("no cause")],
    ids=str,
)
@pytest.mark.django_db(transaction=True)
def test_other_errors_are_not_tried_again(other: Exception, rests: list[float]) -> None:
    statement = Statement(1, other)
    with pytest.raises(type(other)):
        run_again(DEFAULT_DB_ALIAS, statement)
    assert statement.tries == 1


@pytest.mark.django_db(transaction=True)
def test_inside_somebodys_transaction_nothing_is_tried_again(rests: list[float]) -> None:
    """The whole of it is lost, and only its owner knows what to do again."""
    statement = Statement(1, error(1213, "Deadlock found"))
    with pytest.raises(OperationalError) as raised, transaction.atomic():
        run_again(DEFAULT_DB_ALIAS, statement)
    assert statement.tries == 1
    [note] = raised.value.__notes__
    assert "this transaction to be tried again" in note


@pytest.mark.django_db(transaction=True)
def test_waits_that_are_long_themselves_are_not_repeated_for_minutes(
    rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1205 comes after innodb_lock_wait_timeout: 50 s."""
    now = iter([0.0, 50.0])
    monkeypatch.setattr(retry.time, "monotonic", lambda: next(now))
    statement = Statement(99, CONFLICTS[1])
    with pytest.raises(OperationalError):
        run_again(DEFAULT_DB_ALIAS, statement)
    assert statement.tries == 1


@pytest.mark.django_db(transaction=True)
def test_delete_of_expired_rows_is_tried_again(
    rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    SessionFactory(expires_at=timezone.now() - timedelta(hours=1))
    delete, deletes = QuerySet.delete, Statement(2, error(1213, "Deadlock found"))

    def meets(self: Any) -> Any:
        deletes()
        return delete(self)

    monkeypatch.setattr(ending, "revoke_rows", lambda *_, **__: 0)  # which tries by itself
    monkeypatch.setattr(QuerySet, "delete", meets)
    assert Session.objects.all().delete()[0] == 1
    assert not Session.objects.exists()


def test_what_the_driver_said_is_looked_at_and_not_the_words() -> None:
    assert not is_conflict(OperationalError("deadlock 1213 40001"))
