"""Expired rows: the command, the batches, and what a login clears on its way."""

from __future__ import annotations

import logging
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_jwtsession.backends.db import SessionStore
from django_jwtsession.models import Revocation, Session
from django_jwtsession.models import clearing as cleanup

from ..conftest import ENGINES, Visit, cookie
from ..management.test_commands import manage
from ..pages.test_signals_of_login import log_in, who

pytestmark = pytest.mark.django_db


def make_rows(expired: int, living: int = 0) -> None:
    for number in range(expired + living):
        session = SessionStore()
        session.set_expiry(-60 - number if number < expired else 3600)
        session.save()


@pytest.fixture
def outside_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a site: not in Django's test environment, and no login has cleared before."""
    monkeypatch.setattr(cleanup, "in_test_environment", lambda: False)
    monkeypatch.setattr(cleanup, "_next_at_login", 0.0)
    monkeypatch.setattr(cleanup, "_reached", {})


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(cleanup.time, "monotonic", lambda: now[0])
    return now


def deletes(queries: CaptureQueriesContext) -> list[str]:
    return [q["sql"] for q in queries.captured_queries if q["sql"].startswith("DELETE")]


def test_command_deletes_what_has_expired_and_says_nothing(
    engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_rows(3, living=2)
    call_command("clearsessions")
    assert Session.objects.count() == 2
    assert capsys.readouterr() == ("", "")


def test_each_batch_is_a_statement_of_its_own_until_nothing_is_left(
    db_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH", 10)
    make_rows(25, living=1)
    with CaptureQueriesContext(connection) as queries:
        SessionStore.clear_expired()
    assert Session.objects.count() == 1
    assert len([sql for sql in deletes(queries) if "session" in sql]) == 3


def test_batch_takes_the_oldest_first_and_no_more_than_asked(db_engine: None) -> None:
    make_rows(5)
    kept = Session.objects.order_by("-expires_at").first()
    [table] = [table for table in cleanup.expiring() if table.model is Session]
    count, rest = cleanup.clear_batch(table, 4)
    assert (count, rest is None) == (4, False)
    assert Session.objects.get() == kept


def test_batches_do_not_read_again_where_rows_were_deleted(
    db_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the database tidies up, the deleted rows still stand at the beginning of the index."""
    monkeypatch.setattr(cleanup, "BATCH", 2)
    make_rows(6)
    times = list(Session.objects.order_by("expires_at").values_list("expires_at", flat=True))
    with CaptureQueriesContext(connection) as queries:
        SessionStore.clear_expired()
    statements = [q["sql"].replace("`", '"') for q in queries]
    looks = [sql for sql in statements if sql.startswith("SELECT") and "ORDER BY" in sql]
    looks = [sql for sql in looks if f'"{Session._meta.db_table}"' in sql]
    assert [">=" in sql for sql in looks] == [False, True, True]
    assert not Session.objects.filter(expires_at__in=times).exists()


def test_more_rows_than_a_batch_may_have_expired_at_one_moment(
    db_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH", 2)
    make_rows(7, living=1)
    at = Session.objects.earliest("expires_at").expires_at
    Session.objects.filter(expires_at__lte=timezone.now()).update(expires_at=at)
    SessionStore.clear_expired()
    assert Session.objects.count() == 1


def test_command_says_how_far_it_has_come_where_that_is_asked_for(
    engine: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH", 2)
    monkeypatch.setattr(cleanup, "_SAY_EVERY", 0)
    make_rows(3)
    call_command("clearsessions", verbosity=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("django_jwtsession_session:")] == [
        f"django_jwtsession_session: {count} expired rows cleared" for count in (2, 3, 3)
    ]
    make_rows(1)
    call_command("clearsessions")
    assert capsys.readouterr() == ("", "")


@pytest.mark.processes
def test_command_is_stopped_at_any_point_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with site(tmp_path / "site.sqlite3", 20_000) as (left, clear):
        for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            rows = left()
            with clear(batch=1) as process:
                while process.poll() is None and left() == rows:
                    time.sleep(0.01)  # another process: there is no clock to move
                process.send_signal(stop)
                out, error = process.communicate(timeout=20)
            assert 0 < left() < rows
            if stop == signal.SIGKILL:
                continue
            assert process.returncode == 128 + stop
            assert error.startswith("CommandError: Stopped: ")
            assert (out, error.count("\n")) == ("", 1)
        with clear(batch=1000) as process:
            assert process.communicate(timeout=60) == ("", "")
        assert (process.returncode, left()) == (0, 0)


@contextmanager
def site(database: Path, rows: int) -> Iterator[Any]:
    """A site with a database of its own and expired sessions; how many, and what clears them."""
    name = f'{{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{database}"}}}}'
    assert manage("migrate", "--verbosity=0", DATABASES=name).returncode == 0
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute(
            "INSERT INTO django_jwtsession_session (id, data, version, created_at, last_seen_at,"
            " expires_at, user_agent, browser, os, device, generation, epoch)"
            " WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?)"
            " SELECT lower(hex(randomblob(16))), x'', 1, '2026-01-01', '2026-01-01',"
            " datetime('2026-01-01', x || ' seconds'), '', '', '', '', 0, 0 FROM n",
            [rows],
        )

        def left() -> int:
            [[number]] = other.execute("SELECT count(*) FROM django_jwtsession_session")
            return int(number)

        def clear(batch: int) -> subprocess.Popen[str]:
            code = f"""
from django.conf import settings
from tests import settings as site
settings.configure(**{{k: getattr(site, k) for k in dir(site) if k.isupper()}}
                   | {{"DATABASES": {name}}})
import django
django.setup()
from django_jwtsession.models import clearing as cleanup
cleanup.BATCH = {batch}
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "clearsessions"])
"""
            return subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=Path(__file__).parents[2],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        yield left, clear


def test_row_that_was_extended_between_the_look_and_the_delete_stays(
    db_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db.models.query import QuerySet
    from django.utils import timezone

    delete = QuerySet.delete

    def extended_meanwhile(queryset: Any) -> Any:
        Session.objects.update(expires_at=timezone.now() + timezone.timedelta(days=1))
        return delete(queryset)

    make_rows(1)
    monkeypatch.setattr(QuerySet, "delete", extended_meanwhile)
    SessionStore.clear_expired()
    monkeypatch.undo()
    assert Session.objects.count() == 1


def test_login_clears_expired_rows(
    engine: str, visit: Visit, user: Any, outside_tests: None
) -> None:
    make_rows(3)
    visit(log_in)
    assert Session.objects.count() == (0 if engine == "cookie" else 1)


def test_login_clears_no_more_than_the_site_says(
    engine: str, visit: Visit, user: Any, outside_tests: None, settings: Any
) -> None:
    settings.JWTSESSION = {"CLEAR_AT_LOGIN": 2}
    make_rows(5)
    visit(log_in)
    assert Session.objects.filter(user=None).count() == 3


def test_login_clears_nothing_where_it_is_switched_off(
    engine: str, visit: Visit, user: Any, outside_tests: None, settings: Any
) -> None:
    settings.JWTSESSION = {"CLEAR_AT_LOGIN": 0}
    make_rows(2)
    visit(log_in)
    assert Session.objects.filter(user=None).count() == 2


def test_logins_of_a_process_clear_every_ten_seconds_at_most(
    engine: str, visit: Visit, user: Any, outside_tests: None, monotonic: list[float]
) -> None:
    make_rows(1)
    visit(log_in)
    assert not Session.objects.filter(user=None).exists()
    make_rows(1)
    monotonic[0] += 9.9
    visit(log_in)
    assert Session.objects.filter(user=None).count() == 1
    monotonic[0] += 0.2
    visit(log_in)
    assert not Session.objects.filter(user=None).exists()


def test_logins_begin_where_the_last_one_has_come_to(
    engine: str, visit: Visit, user: Any, outside_tests: None, monotonic: list[float], settings: Any
) -> None:
    """An index begins with what was deleted: each login would read over it again."""
    settings.JWTSESSION = {"CLEAR_AT_LOGIN": 2}
    make_rows(5)
    for left in (3, 1, 0):
        visit(log_in)
        assert Session.objects.filter(user=None).count() == left
        monotonic[0] += 11
    with CaptureQueriesContext(connection) as queries:
        visit(log_in)
    statements = [q["sql"].replace("`", '"') for q in queries]
    looks = [sql for sql in statements if 'expires_at" <=' in sql]
    assert looks
    assert all('expires_at" >=' in sql for sql in looks)


def test_login_in_the_test_environment_clears_nothing(visit: Visit, engine: str, user: Any) -> None:
    """People's assertNumQueries stay exact."""
    make_rows(1)
    visit(log_in)
    assert Session.objects.filter(user=None).count() == 1


@pytest.fixture
def broken_clearing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clearing fails as a database does: with a statement that it refuses."""

    def refused(*args: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM a_table_that_is_not_there")

    monkeypatch.setattr(cleanup, "clear_batch", refused)


@pytest.mark.parametrize("atomic_requests", [False, True])
@pytest.mark.parametrize("engine", ENGINES, indirect=True)
@pytest.mark.django_db(transaction=True)
def test_failure_to_clear_never_fails_the_login(
    engine: str,
    visit: Visit,
    user: Any,
    client: Client,
    outside_tests: None,
    broken_clearing: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    atomic_requests: bool,
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    with caplog.at_level(logging.WARNING, "django_jwtsession"):
        response = visit(log_in)
    assert (response.status_code, response.content) == (200, b"in")
    assert visit(who).content == b"ada"
    user.refresh_from_db()
    assert user.last_login is not None
    records = [r for r in caplog.records if r.name == "django_jwtsession"]
    assert len(records) == 1
    assert cookie(client) not in records[0].getMessage()


def test_newest_line_of_the_feed_is_never_cleared(db_engine: None) -> None:
    """By its key processes see that the table is still the one that they have read."""
    for number in range(3):
        Revocation.objects.create(kind="s", name=f"{number}", expires_at=1.0)
    call_command("clearsessions")
    assert [line.name for line in Revocation.objects.all()] == ["2"]
    Revocation.objects.create(kind="s", name="3", expires_at=1.0)
    call_command("clearsessions")
    assert [line.name for line in Revocation.objects.all()] == ["3"]


@pytest.mark.django_db(transaction=True)
def test_clearing_takes_no_part_in_the_logins_transaction(
    db_engine: None, outside_tests: None
) -> None:
    """A deadlock with other sessions would take the login back."""
    make_rows(2)
    with transaction.atomic():
        cleanup.clear_at_login()
        assert Session.objects.count() == 2
    assert Session.objects.count() == 0
