"""Two requests that met in the database: what stands alone is tried again, for all engines."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.contrib.auth import login, logout
from django.db import OperationalError, connection, transaction
from django.http import HttpRequest

from django_jwtsession.backends import writing
from django_jwtsession.backends.hybrid import SessionStore
from django_jwtsession.history import events, later
from django_jwtsession.models import MovedSession, Session, SessionEvent
from django_jwtsession.models.retry import is_undone
from django_jwtsession.revocation import revoke_session, revoke_user_sessions
from tests.conftest import ENGINES, Visit, read, write
from tests.helpers.process import another_process
from tests.helpers.visitor import Visitor

pytestmark = pytest.mark.django_db(transaction=True)

WRITES = ("INSERT", "UPDATE", "DELETE")


def deadlock() -> OperationalError:
    """What MySQL says, and each node of Galera of a transaction that lost its certification."""
    error = OperationalError(1213, "Deadlock found when trying to get lock; try restarting")
    error.__cause__ = Exception(1213)
    return error


class Conflicts:
    """Each write of ours fails once: with the statement, or with the COMMIT after it."""

    def __init__(self) -> None:
        self.met: set[str] = set()
        self.number = 0

    def now(self) -> AbstractContextManager[Any]:
        self.met.clear()
        return connection.execute_wrapper(self)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        is_ours = sql.startswith(WRITES) and "django_jwtsession" in sql
        statement = " ".join(sql.split()[:3])
        if is_ours and statement not in self.met:
            self.met.add(statement)
            self.number += 1
            raise deadlock()
        return execute(sql, params, many, context)


@pytest.fixture
def conflicts(monkeypatch: pytest.MonkeyPatch) -> Conflicts:
    """`with conflicts.now():` each kind of write fails once."""
    monkeypatch.setattr("django_jwtsession.models.retry.time.sleep", lambda _: None)
    return Conflicts()


def test_login_write_and_logout_survive_conflicts(
    engine: str, user: Any, visit: Visit, conflicts: Conflicts
) -> None:
    with conflicts.now():
        assert visit(lambda request: login(request, user)).status_code == 200
    with conflicts.now():
        assert visit(write(x=1)).status_code == 200
    assert b"('x', 1)" in visit(read).content
    with conflicts.now():
        assert visit(logout).status_code == 200
    assert visit(read).content == b"[]"
    kinds = set(SessionEvent.objects.values_list("kind", flat=True))
    assert {"login", "logout"} <= kinds
    assert conflicts.number >= (3 if engine == "cookie" else 5)


def test_ending_survives_conflicts(
    engine: str, user: Any, visit: Visit, conflicts: Conflicts
) -> None:
    sids: list[str] = []

    def log_in(request: HttpRequest) -> None:
        login(request, user)
        session: Any = request.session
        sids.append(session.sid)

    visit(log_in)
    with conflicts.now():
        revoke_session(sids[0])
    assert visit(read).content == b"[]"
    visit(log_in)
    with conflicts.now():
        revoke_user_sessions(user)
    assert visit(read).content == b"[]"
    assert SessionEvent.objects.filter(kind="revoked").count() == 2


def test_theft_is_recorded_once_in_spite_of_conflicts(
    settings: Any, user: Any, visit: Visit, conflicts: Conflicts
) -> None:
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    visit(lambda request: login(request, user))
    [row] = Session.objects.all()
    store = SessionStore()
    store.reused = row.pk
    with conflicts.now():
        store.report_reuse()
    assert not Session.objects.exists()
    assert SessionEvent.objects.filter(kind="token_reuse").count() == 1


def test_session_that_moves_out_survives_conflicts(settings: Any, conflicts: Conflicts) -> None:
    settings.ROOT_URLCONF, settings.SESSION_ENGINE = "tests.urls_engines", ENGINES["hybrid"]
    browser = Visitor()
    browser.put(basket=["book"])
    another_process()
    settings.JWTSESSION = {"MIGRATE_TO": "django.contrib.sessions.backends.signed_cookies"}
    with conflicts.now():
        assert browser.data() == {"basket": ["book"]}
    assert len(conflicts.met) == 3  # the note of it, the end of the row, the line of the feed
    assert not Session.objects.exists()
    with conflicts.now():
        assert browser.data() == {"basket": ["book"]}
    assert len(conflicts.met) == 1  # that the browser has it
    assert MovedSession.objects.exclude(confirmed_at=None).count() == 1


@pytest.mark.parametrize("name", ["db", "hybrid"])
def test_conflict_at_the_commit_of_a_write_under_lock_is_tried_again(
    name: str, settings: Any, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Galera certifies a transaction when it commits."""
    settings.SESSION_ENGINE = ENGINES[name]
    visit(write(x=1))
    monkeypatch.setattr("django_jwtsession.models.retry.time.sleep", lambda _: None)
    monkeypatch.setattr(writing, "_OPTIMISTIC_TRIES", 0)
    commit = connection.commit
    failed: list[bool] = []

    def fails_once() -> None:
        if not failed:
            failed.append(True)
            connection.rollback()
            raise deadlock()
        commit()

    monkeypatch.setattr(connection, "commit", fails_once)
    assert visit(write(y=2)).status_code == 200
    assert failed
    monkeypatch.undo()
    settings.SESSION_ENGINE = ENGINES[name]
    assert dict(Session.objects.get().get_decoded()) == {"x": 1, "y": 2}


def test_conflict_inside_somebodys_transaction_is_said_to_its_owner(
    db_engine: None, store: Any, conflicts: Conflicts
) -> None:
    session = store()
    session["x"] = 1
    session.save()
    with conflicts.now(), pytest.raises(OperationalError) as raised, transaction.atomic():
        revoke_session(session.sid)
    assert "tried again" in raised.value.__notes__[0]


def test_history_survives_a_conflict(user: Any, conflicts: Conflicts) -> None:
    event = SessionEvent(kind="login", user=user, sid="x")
    with conflicts.now():
        later.after_answer(lambda: events._write(event))
    assert SessionEvent.objects.count() == 1


class Undone:
    """A SELECT by which the database says once that all of the transaction is undone."""

    def __init__(self) -> None:
        self.is_told = False

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not self.is_told and sql.startswith("SELECT") and Session._meta.db_table in sql:
            self.is_told = True
            raise deadlock()
        return execute(sql, params, many, context)


@pytest.mark.parametrize("act", [read, write(y=2)])
@pytest.mark.parametrize("name", ["db", "hybrid"])
def test_owner_of_a_transaction_that_is_undone_hears_of_it(
    name: str, act: Any, settings: Any, visit: Visit, clock: Any
) -> None:
    """Else he writes the rest into a new one: neither another try nor a copy is an answer to it."""
    settings.SESSION_ENGINE = ENGINES[name]
    visit(write(x=1))
    clock.shift(70)

    def view(request: HttpRequest) -> None:
        with (
            pytest.raises(OperationalError) as raised,
            transaction.atomic(),
            connection.execute_wrapper(Undone()),
        ):
            act(request)
        assert "has to run it again" in raised.value.__notes__[0]

    assert visit(view).status_code == 200


def test_transaction_whose_lock_was_not_free_in_time_goes_on() -> None:
    assert not is_undone(OperationalError(1205, "Lock wait timeout exceeded"), "default")
    with transaction.atomic():
        assert not is_undone(OperationalError(1205, "Lock wait timeout exceeded"), "default")
        assert is_undone(OperationalError(1213, "Deadlock found"), "default")
    assert not is_undone(OperationalError(1213, "Deadlock found"), "default")
