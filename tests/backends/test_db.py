"""The engine `db`: one SELECT by primary key a read, one UPDATE a write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_jwtsession.backends.db import SessionStore
from django_jwtsession.models import Session

from ..conftest import NOW, WEEK, Visit, cookie, read, write

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("db_engine")]

FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"


def saved(**data: Any) -> SessionStore:
    session = SessionStore()
    session.update(data)
    session.save()
    return session


def reopened(session: SessionStore) -> SessionStore:
    return SessionStore(session.session_key)


def statements(view: Any) -> list[str]:
    """Return the first words of the statements that `view` executed, savepoints left out."""
    with CaptureQueriesContext(connection) as queries:
        view()
    found = [query["sql"] for query in queries.captured_queries]
    return [sql for sql in found if "SAVEPOINT" not in sql]


def test_read_is_one_select_by_primary_key(visit: Visit) -> None:
    visit(write(x=1))
    [sql] = statements(lambda: visit(read))
    assert sql.startswith("SELECT")
    where = sql.partition("WHERE")[2]
    assert "id" in where
    assert "AND" not in where


def test_write_is_one_select_and_one_update_by_primary_key(visit: Visit) -> None:
    visit(write(x=1))
    select, update = statements(lambda: visit(write(x=2)))
    assert select.startswith("SELECT")
    assert update.startswith("UPDATE")
    assert "version" in update.partition("WHERE")[2]


def test_new_session_is_one_insert(visit: Visit) -> None:
    [sql] = statements(lambda: visit(write(x=1)))
    assert sql.startswith("INSERT")


def end_of_row() -> float:
    at: datetime = Session.objects.get().expires_at
    return at.timestamp()


@pytest.mark.parametrize(
    ("age", "later", "gained"),
    [(WEEK, 59, 0), (WEEK, 60, 60), (1800, 17, 0), (1800, 18, 18), (10, 1, 1)],
)
def test_writes_move_the_end_by_a_minute_or_a_hundredth_of_the_age_at_least(
    visit: Visit, clock: Any, settings: Any, age: int, later: float, gained: float
) -> None:
    settings.SESSION_COOKIE_AGE = age
    visit(write(x=1))
    clock.shift(later)
    response = visit(write(x=2))
    assert end_of_row() == NOW + age + gained
    assert response.cookies["sessionid"]["max-age"] == age


def test_end_that_was_set_is_exact(visit: Visit, clock: Any) -> None:
    visit(write(x=1))
    for age in (WEEK + 30, WEEK - 30, WEEK):
        visit(lambda request, age=age: request.session.set_expiry(age))
        assert end_of_row() == NOW + age
    clock.shift(30)
    until = datetime.fromtimestamp(NOW + WEEK + 20, UTC)
    visit(lambda request: request.session.set_expiry(until))
    assert end_of_row() == NOW + WEEK + 20


def test_login_moves_the_end(visit: Visit, clock: Any, user: User) -> None:
    visit(write(x=1))
    clock.shift(30)
    visit(lambda request: login(request, user, "django.contrib.auth.backends.ModelBackend"))
    assert end_of_row() == NOW + 30 + WEEK


def test_visitor_who_writes_again_and_again_is_extended(visit: Visit, clock: Any) -> None:
    for step in range(100):
        visit(write(x=step))
        clock.shift(50)
    assert end_of_row() - (NOW + 100 * 50) > WEEK - 120


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has such updates")
def test_writes_in_a_row_change_no_index(visit: Visit) -> None:
    def updates() -> tuple[int, int]:
        table = Session._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = %s",
                [table],
            )
            found: tuple[int, int] = cursor.fetchone()
            return found

    visit(write(x=0))
    before = updates()
    for step in range(5):
        visit(write(x=step))
    assert updates() == (before[0] + 5, before[1] + 5)


def test_refresh_is_one_update(visit: Visit, clock: Any) -> None:
    visit(write(x=1))
    clock.shift(WEEK / 2 + 10)
    assert [sql.split()[0] for sql in statements(lambda: visit(read))] == ["SELECT", "UPDATE"]


@pytest.mark.parametrize(("method", "word"), [("cycle_key", "UPDATE"), ("flush", "DELETE")])
def test_cycle_key_and_flush_are_one_statement_beside_the_feed_s(method: str, word: str) -> None:
    session = reopened(saved(x=1))
    assert session["x"] == 1
    found = [sql for sql in statements(getattr(session, method)) if "revocation" not in sql]
    assert [sql.split()[0] for sql in found] == [word]


def test_last_seen_moves_every_five_minutes_in_an_update_of_its_own(
    visit: Visit, clock: Any
) -> None:
    visit(write(x=1))
    clock.shift(299)
    assert len(statements(lambda: visit(read))) == 1
    clock.shift(2)
    [_, update] = statements(lambda: visit(read))
    assert "last_seen_at" in update
    assert Session.objects.get().last_seen_at == datetime.fromtimestamp(NOW + 301, UTC)
    assert len(statements(lambda: visit(read))) == 1


def test_last_seen_moves_in_the_same_update_as_a_write(visit: Visit, clock: Any) -> None:
    visit(write(x=1))
    clock.shift(299)
    visit(write(x=2))
    assert Session.objects.get().last_seen_at == datetime.fromtimestamp(NOW, UTC)
    clock.shift(2)
    assert len(statements(lambda: visit(write(x=3)))) == 2
    assert Session.objects.get().last_seen_at == datetime.fromtimestamp(NOW + 301, UTC)


def test_last_seen_is_as_often_as_the_site_says(visit: Visit, clock: Any, settings: Any) -> None:
    settings.JWTSESSION = {"LAST_SEEN_EVERY": 10}
    visit(write(x=1))
    clock.shift(11)
    visit(read)
    assert Session.objects.get().last_seen_at == datetime.fromtimestamp(NOW + 11, UTC)


def test_last_seen_does_not_bring_a_session_back(visit: Visit, clock: Any) -> None:
    def view(request: HttpRequest) -> str:
        value = request.session["x"]
        Session._base_manager.all().delete()
        return str(value)

    visit(write(x=1))
    clock.shift(301)
    assert visit(view).status_code == 200
    assert not Session.objects.exists()


@pytest.mark.requirement("RFC 9700 4.9")
def test_table_alone_opens_nothing(visit: Visit, client: Client) -> None:
    visit(write(x=1))
    row = Session.objects.get()
    token = cookie(client)
    for column in Session._meta.concrete_fields:
        value = getattr(row, column.attname)
        assert token not in str(value)
        client.cookies["sessionid"] = str(value)
        assert visit(read).content == b"[]"
    client.cookies["sessionid"] = row.sid
    assert visit(read).content == b"[]"


def test_cookie_of_an_ended_session_is_anonymous_and_stays(
    visit: Visit, client: Client, clock: Any
) -> None:
    visit(write(x=1))
    token = cookie(client)
    visit(lambda request: request.session.flush())
    client.cookies["sessionid"] = token
    response = visit(read)
    assert response.content == b"[]"
    assert "sessionid" not in response.cookies  # the browser's may be a newer one
    clock.shift(61)
    assert "sessionid" not in visit(read).cookies


def test_save_of_a_session_that_ended_elsewhere_raises() -> None:
    session = saved(x=1)
    Session._base_manager.all().delete()
    session["x"] = 2
    with pytest.raises(UpdateError):
        session.save()
    assert not Session.objects.exists()


def test_save_without_a_change_of_a_session_that_ended_elsewhere_raises_too() -> None:
    session = saved(x=1)
    Session._base_manager.all().delete()
    with pytest.raises(UpdateError):
        session.save()


def test_create_where_the_row_is_there_raises() -> None:
    session = saved(x=1)
    with pytest.raises(CreateError):
        SessionStore(session.session_key).save(must_create=True)


def test_cycle_key_moves_the_row_and_the_old_token_opens_nothing() -> None:
    session = saved(x=1)
    old, created = session.session_key, Session.objects.get().created_at
    session.cycle_key()
    assert Session.objects.get().sid == session.sid
    assert Session.objects.get().created_at == created
    assert dict(SessionStore(old).items()) == {}
    assert reopened(session)["x"] == 1


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("12", 12),
        (None, None),
        ("not a number", None),
        ("", None),
        (str(2**70), None),
        (-(2**70), None),
        ([], None),
        ({}, None),
        ("9f3c0d9e-5a0c-4f1e-8a52-0d8f1a2b3c4d", None),
        ("1.5", None),
        (float("inf"), None),
    ],
    ids=repr,
)
def test_user_column_takes_what_fits_and_never_breaks_a_login(value: Any, fits: Any) -> None:
    session = saved(_auth_user_id=value)
    assert Session.objects.get().user_id == fits
    assert reopened(session)["_auth_user_id"] == value
    session["x"] = 1
    session.save()
    assert Session.objects.get().user_id == fits


def test_user_column_follows_the_session() -> None:
    session = saved(_auth_user_id="7")
    del session["_auth_user_id"]
    session.save()
    assert (Session.objects.get().user_id, Session.objects.get().authenticated_at) == (None, None)


def test_deleted_user_takes_the_sessions_along(client: Client, user: Any, visit: Visit) -> None:
    client.force_login(user)
    user.delete()
    assert not Session.objects.exists()
    assert visit(lambda request: request.user.is_anonymous).content == b"True"


def test_row_shows_the_data_as_django_s_does_and_no_token() -> None:
    session = saved(x=1)
    row = Session.objects.get(session_key=session.session_key)
    assert row.get_decoded() == {"x": 1}
    assert row.sid == session.sid
    assert session.session_key not in f"{row!s}{row!r}"
    assert str(row.pk) not in str(row)
    assert not Session.objects.filter(session_key="nonsense").exists()


def test_data_that_cannot_be_read_is_an_empty_session(visit: Visit) -> None:
    visit(write(x=1))
    Session.objects.update(data=b"\xff not json")
    assert visit(read).content == b"[]"
    visit(write(y=1))
    assert visit(read).content == b"[('y', 1)]"


def test_device_columns_are_filled_at_login(visit: Visit, user: Any) -> None:
    from django.contrib.auth import login

    headers = {"User-Agent": FIREFOX}
    visit(lambda request: login(request, user), headers=headers, REMOTE_ADDR="192.0.2.7")
    row = Session.objects.get()
    assert (row.browser, row.os, row.ip_address) == ("Firefox 149", "Ubuntu", "192.0.2.7")
    assert row.user_agent == FIREFOX
    assert row.user == user


def test_later_login_updates_the_device_and_a_later_visit_does_not(
    visit: Visit, user: Any, clock: Any
) -> None:
    from django.contrib.auth import login

    visit(lambda request: login(request, user), REMOTE_ADDR="192.0.2.7")
    clock.shift(100)
    visit(write(x=1), REMOTE_ADDR="192.0.2.8")
    assert Session.objects.get().ip_address == "192.0.2.7"
    visit(lambda request: login(request, user), REMOTE_ADDR="192.0.2.9")
    row = Session.objects.get()
    assert row.ip_address == "192.0.2.9"
    assert row.authenticated_at == datetime.fromtimestamp(NOW + 100, UTC)
    assert row.created_at == datetime.fromtimestamp(NOW, UTC)


@pytest.mark.parametrize("use_tz", [True, False])
def test_time_zone_setting_changes_nothing(clock: Any, settings: Any, use_tz: bool) -> None:
    settings.USE_TZ = use_tz
    session = saved(_auth_user_id="1")
    clock.shift(WEEK - 1)
    assert reopened(session)["_auth_user_id"] == "1"
    clock.shift(2)
    assert "_auth_user_id" not in reopened(session)


class ReplicaRouter:
    """Reads go to a replica; here it is none, so that any read from it fails."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


def test_replica_is_never_asked(settings: Any, clock: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.backends.test_db.ReplicaRouter"]
    session = saved(x=1)
    again = reopened(session)
    again["y"] = 1
    again.save()
    again.cycle_key()
    assert again.exists(again.session_key)
    assert Session.objects.get(session_key=again.session_key).get_decoded() == {"x": 1, "y": 1}
    SessionStore.clear_expired()
    again.flush()
    assert not Session.objects.exists()


def test_hour_that_the_clock_repeats_ends_no_session(settings: Any) -> None:
    """Without time zones a column cannot tell the two hours of 25 October apart; it must not."""
    settings.USE_TZ = False
    settings.TIME_ZONE = "Europe/Berlin"
    for hour in (0, 1):  # 02:30 summer time, then 02:30 again
        at = datetime(2026, 10, 25, hour, 30, tzinfo=UTC).timestamp()
        with time_machine.travel(at, tick=False) as now:
            assert datetime.now().hour == 2
            session = SessionStore()
            session["x"] = 1
            session.set_expiry(600)
            session.save()
            now.shift(500)
            assert reopened(session).get("x") == 1
            now.shift(101)
            assert reopened(session).get("x") is None
