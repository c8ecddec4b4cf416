"""What the history keeps of logins, logouts and failed logins."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth import authenticate, login
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from django_jwtsession import history
from django_jwtsession.models import SessionEvent
from django_jwtsession.signals import new_device

from . import urls_engines
from .conftest import Visit, read, write
from .factories import PASSWORD, UserFactory, browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

LINUX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"
UPDATED = LINUX.replace("149", "150")
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/18.6 Safari/605.1.15"
)
Kind = SessionEvent.Kind


def events(**where: Any) -> list[SessionEvent]:
    return list(SessionEvent.objects.filter(**where).order_by("pk"))


def kinds() -> list[str]:
    return [event.kind for event in events()]


def device(agent: str) -> dict[str, str]:
    return {"user-agent": agent}


@pytest.fixture
def alarms() -> Any:
    """What the signal new_device sent."""
    received: list[dict[str, Any]] = []

    def receiver(**kwargs: Any) -> None:
        received.append(kwargs)

    new_device.connect(receiver)
    yield received
    new_device.disconnect(receiver)


# --- logins and logouts --------------------------------------------------------------------------


def test_login_is_recorded_with_sid_device_and_address(engine: str) -> None:
    user = UserFactory()
    client = browser(user, headers=device(LINUX))
    (event,) = events()
    assert (event.kind, event.user, event.actor) == (Kind.LOGIN, user, None)
    assert event.sid == client.session.sid
    assert (event.browser, event.os, event.device) == ("Firefox 149", "Ubuntu", "desktop")
    assert event.ip_address == "127.0.0.1"
    assert event.created_at.timestamp() == pytest.approx(client.session.auth_time, abs=0.001)


def test_login_in_place_of_another_users_has_the_sid_of_the_new_session(
    engine: str, visit: Visit
) -> None:
    first, second = UserFactory(), UserFactory()
    visit(lambda request: login(request, first))
    visit(lambda request: login(request, second))
    sid = visit(lambda request: request.session.sid).content.decode()
    assert [event.sid for event in events(user=second)] == [sid]
    assert events(user=first)[0].sid not in ("", sid)


def test_login_costs_one_insert_into_the_history(engine: str) -> None:
    user = UserFactory()
    browser(user, headers=device(LINUX))
    client = Client(headers=device(MAC))
    with CaptureQueriesContext(connection) as queries:
        client.post("/login/", {"username": user.username, "password": PASSWORD})
    inserts = [q["sql"] for q in queries if q["sql"].startswith("INSERT")]
    assert len([sql for sql in inserts if "sessionevent" in sql]) == 1
    assert kinds() == [Kind.LOGIN, Kind.LOGIN, Kind.NEW_DEVICE]


def test_request_that_logs_nobody_in_or_out_writes_no_history(engine: str, visit: Visit) -> None:
    user = UserFactory()
    visit(lambda request: login(request, user))
    with CaptureQueriesContext(connection) as queries:
        visit(write(x=1))
        visit(read)
    assert not [q for q in queries if "sessionevent" in q["sql"]]


def test_logout_is_recorded_with_the_sid_of_its_login(engine: str) -> None:
    client = browser(UserFactory())
    client.post("/logout/")
    first, last = events()
    assert (last.kind, last.sid, last.user, last.actor) == (
        Kind.LOGOUT,
        first.sid,
        first.user,
        first.user,
    )


def test_logout_of_nobody_is_no_event(engine: str, client: Client) -> None:
    client.post("/logout/")
    assert events() == []


def test_force_login_is_a_login(engine: str, client: Client) -> None:
    user = UserFactory()
    client.force_login(user)
    assert [(event.kind, event.sid) for event in events()] == [(Kind.LOGIN, client.session.sid)]


@pytest.mark.parametrize("broken", ["bulk_create", "create"])
def test_login_and_logout_go_on_without_a_history(
    engine: str, monkeypatch: pytest.MonkeyPatch, caplog: Any, broken: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")

    user = UserFactory()
    monkeypatch.setattr("django.db.models.query.QuerySet." + broken, fail)
    monkeypatch.setattr("django_jwtsession.revocation.publish", lambda _: None)
    client = browser(user)
    assert client.get("/closed/").status_code == 200
    client.post("/logout/")
    assert client.get("/closed/").status_code == 302
    records = [r for r in caplog.records if r.name == "django_jwtsession"]
    assert [r.levelno for r in records] == [logging.WARNING]


def test_broken_history_does_not_break_the_transaction_around_the_login(
    engine: str, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise DatabaseError("the history is broken")

    def log_in(request: HttpRequest) -> str:
        with transaction.atomic():
            login(request, user)
            return str(User.objects.count())

    user = UserFactory()
    monkeypatch.setattr(history, "_devices_of", fail)
    assert visit(log_in).content == b"1"
    assert visit(lambda request: request.user.pk).content == str(user.pk).encode()


# --- failed logins -------------------------------------------------------------------------------


def test_failed_login_of_a_known_user_is_recorded(engine: str) -> None:
    user = UserFactory()
    client = Client(headers=device(LINUX))
    client.post("/login/", {"username": user.username, "password": "wrong"})
    (event,) = events()
    assert (event.kind, event.user, event.sid) == (Kind.LOGIN_FAILED, user, "")
    assert (event.browser, event.ip_address) == ("Firefox 149", "127.0.0.1")


@pytest.mark.parametrize("name", ["my password by mistake", "nul\0", "x" * 5000, ""])
def test_nothing_typed_for_an_unknown_user_is_kept(
    db: None, client: Client, name: str, caplog: Any
) -> None:
    history.note_failed_login({"username": name}, None)
    client.post("/login/", {"username": name, "password": "x"})
    assert events() == []
    assert not caplog.records


def test_failed_login_without_a_request_is_recorded_as_well(db: None) -> None:
    user = UserFactory()
    authenticate(username=user.username, password="wrong")
    assert [(event.kind, event.user, event.ip_address) for event in events()] == [
        (Kind.LOGIN_FAILED, user, None)
    ]


@pytest.mark.django_db(transaction=True)
def test_failed_login_survives_the_rollback_of_its_request(visit: Visit, user: User) -> None:
    def view(request: HttpRequest) -> str:
        with transaction.atomic():
            authenticate(request, username="ada", password="wrong")
            authenticate(request, username="nobody", password="wrong")
            User.objects.create_user("bob")
            transaction.set_rollback(True)
        return "rolled back"

    visit(view)
    assert not User.objects.filter(username="bob").exists()
    assert [(event.kind, event.user) for event in events()] == [(Kind.LOGIN_FAILED, user)]
    visit(read)
    assert len(events()) == 1


@pytest.mark.django_db(transaction=True)
async def test_failed_login_survives_the_rollback_under_asgi(
    settings: Any, own_connection: None
) -> None:
    @transaction.atomic
    def view(request: HttpRequest) -> str:
        authenticate(request, username="ada", password="wrong")
        transaction.set_rollback(True)
        return "rolled back"

    settings.ROOT_URLCONF = "tests.urls_engines"
    await User.objects.acreate(username="ada")
    urls_engines.Page.view = staticmethod(view)
    try:
        await AsyncClient().get("/")
    finally:
        urls_engines.Page.view = staticmethod(urls_engines.untouched)
    assert [event.kind async for event in SessionEvent.objects.all()] == [Kind.LOGIN_FAILED]


# --- new devices ---------------------------------------------------------------------------------


def test_first_login_ever_is_no_alarm(engine: str, alarms: list[Any]) -> None:
    browser(UserFactory(), headers=device(LINUX))
    assert kinds() == [Kind.LOGIN]
    assert alarms == []


def test_new_device_is_an_event_and_a_signal_once(engine: str, alarms: list[Any]) -> None:
    user = UserFactory()
    browser(user, headers=device(LINUX))
    client = browser(user, headers=device(MAC))
    for agent in (MAC, LINUX, UPDATED):
        browser(user, headers=device(agent))
    (event,) = events(kind=Kind.NEW_DEVICE)
    assert (event.sid, event.user, event.os) == (client.session.sid, user, "macOS")
    (alarm,) = alarms
    assert (alarm["sid"], alarm["user_id"], alarm["event"]) == (event.sid, user.pk, event)


def test_device_of_somebody_else_is_new_to_this_user(engine: str, alarms: list[Any]) -> None:
    first, second = UserFactory(), UserFactory()
    browser(first, headers=device(MAC))
    browser(second, headers=device(LINUX))
    browser(second, headers=device(MAC))
    assert [alarm["user_id"] for alarm in alarms] == [second.pk]


def test_device_of_a_failed_login_is_not_known_yet(db_engine: None, alarms: list[Any]) -> None:
    user = UserFactory()
    browser(user, headers=device(LINUX))
    failing = Client(headers=device(MAC))
    failing.post("/login/", {"username": user.username, "password": "wrong"})
    browser(user, headers=device(MAC))
    assert len(alarms) == 1


def test_receiver_that_raises_breaks_no_login(db_engine: None) -> None:
    def broken(**kwargs: Any) -> None:
        raise RuntimeError("of the project")

    user = UserFactory()
    browser(user, headers=device(LINUX))
    new_device.connect(broken)
    try:
        client = browser(user, headers=device(MAC))
    finally:
        new_device.disconnect(broken)
    assert client.get("/closed/").status_code == 200
    assert kinds() == [Kind.LOGIN, Kind.LOGIN, Kind.NEW_DEVICE]
