"""What the history keeps of logins, logouts and failed logins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import authenticate, login
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.dispatch import Signal
from django.http import HttpRequest
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from django_jwtsession.backends import hybrid
from django_jwtsession.devices.places import Sightings
from django_jwtsession.history import events as history
from django_jwtsession.history import known
from django_jwtsession.models import Session, SessionEvent
from django_jwtsession.revocation.ending import report_reuse
from django_jwtsession.signals import new_device, session_created, session_revoked, token_reused

from .. import urls_engines
from ..conftest import Visit, read, write
from ..factories import PASSWORD, SessionFactory, UserFactory, browser
from ..helpers import asgi

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


@contextmanager
def connected(signal: Signal, receiver: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


def received_of(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    received: list[dict[str, Any]] = []

    def receiver(**kwargs: Any) -> None:
        received.append(kwargs)

    with connected(signal, receiver):
        yield received


@pytest.fixture
def alarms() -> Iterator[list[dict[str, Any]]]:
    """What the signal new_device sent."""
    yield from received_of(new_device)


@pytest.fixture
def created() -> Iterator[list[dict[str, Any]]]:
    """What the signal session_created sent."""
    yield from received_of(session_created)


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


def test_login_on_the_usual_device_does_not_compare_all_that_there_were(engine: str) -> None:
    user = UserFactory()
    browser(user, headers=device(LINUX))
    with CaptureQueriesContext(connection) as queries:
        browser(user, headers=device(LINUX))
    looks = [q["sql"] for q in queries if "SELECT" in q["sql"] and "sessionevent" in q["sql"]]
    assert ["LIMIT 1" in sql for sql in looks] == [True]


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


def test_login_and_logout_go_on_without_a_history(
    engine: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")

    user = UserFactory()
    monkeypatch.setattr(SessionEvent, "save", fail)
    monkeypatch.setattr("django_jwtsession.revocation.ending.publish", lambda _: None)
    client = browser(user)
    assert client.get("/closed/").status_code == 200
    client.post("/logout/")
    assert client.get("/closed/").status_code == 302
    records = [r for r in caplog.records if r.name == "django_jwtsession"]
    assert [r.levelno for r in records] == [logging.WARNING] * 2


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
    monkeypatch.setattr(known, "_devices_of", fail)
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
    # The audit log has that somebody tried, and nothing of what was typed.
    assert {record.name for record in caplog.records} <= {"django_jwtsession.audit"}
    logged = [value for record in caplog.records for value in vars(record).values()]
    assert not name or not [value for value in logged if name in str(value)]


def test_authentication_without_a_request_costs_no_query(db: None) -> None:
    user = UserFactory()
    with CaptureQueriesContext(connection) as queries:
        authenticate(username=user.username, password="wrong")
    assert not [q for q in queries if "sessionevent" in q["sql"]]
    assert len(queries) == 1
    assert events() == []


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
    with connected(new_device, broken):
        client = browser(user, headers=device(MAC))
    assert client.get("/closed/").status_code == 200
    assert kinds() == [Kind.LOGIN, Kind.LOGIN, Kind.NEW_DEVICE]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("signal", [new_device, session_created], ids=["device", "created"])
def test_receiver_that_breaks_the_transaction_breaks_no_login(visit: Visit, signal: Signal) -> None:
    def broken(**kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")

    def log_in(request: HttpRequest) -> str:
        with transaction.atomic():
            login(request, user)
            return str(User.objects.count())

    user = UserFactory()
    visit(lambda request: login(request, user), by=Client(headers=device(LINUX)))
    client = Client(headers=device(MAC))
    with connected(signal, broken):
        assert visit(log_in, by=client).content == b"1"
    assert visit(lambda request: request.user.pk, by=client).content == str(user.pk).encode()
    assert kinds() == [Kind.LOGIN, Kind.LOGIN, Kind.NEW_DEVICE]


@pytest.mark.django_db(transaction=True)
def test_transaction_that_is_undone_under_a_receiver_is_an_error_for_its_owner() -> None:
    """As Galera may undo it at any statement: nothing of it is left to commit."""

    def meets_another(**kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")

    @transaction.atomic
    def write_and_tell() -> None:
        UserFactory()
        history.tell(new_device, sender=None)

    with connected(new_device, meets_another), pytest.raises(DatabaseError):
        write_and_tell()
    assert not User.objects.exists()


# --- new sessions --------------------------------------------------------------------------------


def test_new_session_is_told_once_with_its_sid(
    engine: str, client: Client, visit: Visit, created: list[Any]
) -> None:
    user = UserFactory()
    visit(write(cart=1))
    assert created == []  # nobody's
    visit(lambda request: login(request, user))
    visit(lambda request: login(request, user))  # goes on with the same
    (told,) = created
    assert (told["sid"], told["user_id"]) == (client.session.sid, user.pk)
    assert told["sender"] is type(client.session)
    assert told["environ"]["PATH_INFO"] == "/"


def test_session_in_place_of_another_users_is_told(
    engine: str, visit: Visit, created: list[Any]
) -> None:
    users = [UserFactory(), UserFactory()]
    for user in users:
        visit(lambda request, user=user: login(request, user))  # type: ignore[misc]
    assert [told["user_id"] for told in created] == [user.pk for user in users]
    assert [told["sid"] for told in created] == [event.sid for event in events()]


def test_login_after_a_logout_is_a_new_session(engine: str, created: list[Any]) -> None:
    user = UserFactory()
    client = browser(user)
    client.post("/logout/")
    client.post("/login/", {"username": user.username, "password": PASSWORD})
    assert len({told["sid"] for told in created}) == 2


# --- a copied cookie -----------------------------------------------------------------------------


def test_receivers_that_raise_keep_no_copied_session_from_its_end(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**kwargs: Any) -> None:
        raise RuntimeError("of the project")

    row = SessionFactory()
    with connected(token_reused, broken), connected(session_revoked, broken):
        report_reuse(hybrid.SessionStore, Session, row.pk, {})
    assert not Session.objects.exists()
    assert kinds() == [Kind.TOKEN_REUSE]
    records = [r for r in caplog.records if r.name == "django.dispatch"]
    assert len(records) == 2


# --- devices and addresses that change within a session -------------------------------------------


SID = "A" * 22
HOME = {"HTTP_USER_AGENT": LINUX, "REMOTE_ADDR": "192.0.2.1"}


@pytest.fixture
def owner(db: None) -> User:
    """A user who has logged in at home, with the session SID."""
    user: User = UserFactory()
    columns = history.devices.columns(HOME, history.get_config())
    SessionEvent.objects.create(kind=Kind.LOGIN, sid=SID, user=user, **columns)
    return user


def changes() -> list[tuple[str | None, str]]:
    return [(event.ip_address, event.browser) for event in events(kind=Kind.CHANGED)]


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        (HOME, []),
        (HOME | {"HTTP_USER_AGENT": UPDATED}, []),  # a browser updates itself
        (HOME | {"HTTP_USER_AGENT": MAC}, [("192.0.2.1", "Safari 18")]),
        (HOME | {"HTTP_USER_AGENT": ""}, [("192.0.2.1", "")]),
        (HOME | {"REMOTE_ADDR": "198.51.100.7"}, [("198.51.100.7", "Firefox 149")]),
        (HOME | {"REMOTE_ADDR": ""}, []),  # not known
    ],
)
def test_change_of_device_or_address_is_recorded(owner: User, environ: Any, found: Any) -> None:
    history.note_change(SID, environ)
    assert changes() == found


def test_each_change_is_recorded_once(owner: User) -> None:
    away = HOME | {"REMOTE_ADDR": "198.51.100.7"}
    for environ in (away, away, HOME, away, HOME | {"HTTP_USER_AGENT": MAC}, HOME):
        history.note_change(SID, environ)
    assert changes() == [("198.51.100.7", "Firefox 149"), ("192.0.2.1", "Safari 18")]
    assert [(event.sid, event.user) for event in events(kind=Kind.CHANGED)] == [(SID, owner)] * 2


def test_change_costs_an_insert_once_between_two_looks(owner: User) -> None:
    away = HOME | {"REMOTE_ADDR": "198.51.100.7"}
    statements = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            history.note_change(SID, away)
        statements.append([q["sql"].split()[0] for q in queries if "sessionevent" in q["sql"]])
    assert statements == [["SELECT", "INSERT", "SELECT"], ["SELECT"]]


def test_change_is_compared_with_what_is_stored(owner: User, settings: Any) -> None:
    settings.JWTSESSION = {"STORE_IP": False}
    history.note_change(SID, HOME | {"REMOTE_ADDR": "198.51.100.7"})
    assert changes() == []


def test_session_without_a_login_in_the_history_is_not_compared(owner: User) -> None:
    history.note_change("B" * 22, HOME)
    assert changes() == []


def test_session_on_the_move_does_not_fill_the_history(owner: User) -> None:
    for number in range(1, 70):
        history.note_change(SID, HOME | {"REMOTE_ADDR": f"198.51.100.{number}"})
    assert len(changes()) == 50


def test_change_that_cannot_be_written_is_a_record(
    owner: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("the history is broken")

    monkeypatch.setattr(SessionEvent, "save", fail)
    history.note_change(SID, HOME | {"HTTP_USER_AGENT": MAC})
    assert [r.levelno for r in caplog.records] == [logging.WARNING]


def test_history_out_of_reach_breaks_no_request(
    owner: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even what looks for a transaction that is open already."""

    def fail(using: str) -> Any:
        raise DatabaseError("out of reach")

    monkeypatch.setattr(history, "savepoint", fail)
    history.note_change(SID, HOME | {"HTTP_USER_AGENT": MAC})
    assert browser(UserFactory()).get("/sessions/").status_code == 200
    assert {r.levelno for r in caplog.records} == {logging.WARNING}


def test_change_stands_on_the_page_and_in_the_admin(db_engine: None) -> None:
    user = UserFactory(admin=True)
    client = browser(user, headers=device(LINUX))
    environ = {"HTTP_USER_AGENT": MAC, "REMOTE_ADDR": "198.51.100.7"}
    history.note_change(client.session.sid, environ)
    page = client.get("/sessions/history/").content.decode()
    assert "Device or address of the session changed" in page
    assert "198.51.100.7" in page
    page = client.get("/admin/django_jwtsession/sessionevent/").content.decode()
    assert "device or address changed" in page


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
@pytest.mark.parametrize(("engine", "later"), [("db", 600), ("hybrid", 600), ("cookie", 400_000)])
def test_browser_that_became_another_is_noted_once(
    transactional_db: None, settings: Any, clock: Any, server: str, engine: str, later: int
) -> None:
    settings.SESSION_ENGINE = f"django_jwtsession.backends.{engine}"
    client = browser(UserFactory(), headers=device(LINUX))
    thief: Any = Client() if server == "wsgi" else AsyncClient()
    thief.cookies = client.cookies
    get = thief.get if server == "wsgi" else partial(asgi.run, thief.get)
    for _ in range(2):
        clock.shift(later)
        assert get("/sessions/", headers={"user-agent": MAC}).status_code == 200
    assert changes() == [("127.0.0.1", "Safari 18")]


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_browser_that_became_another_is_noted_at_its_first_request(
    transactional_db: None, engine: str, clock: Any, server: str
) -> None:
    client = browser(UserFactory(), headers=device(LINUX))
    client.get("/sessions/", headers={"user-agent": LINUX})
    thief: Any = Client() if server == "wsgi" else AsyncClient()
    thief.cookies = client.cookies
    get = thief.get if server == "wsgi" else partial(asgi.run, thief.get)
    for agent in (MAC, LINUX, MAC):
        assert get("/sessions/", headers={"user-agent": agent}).status_code == 200
    assert changes() == [("127.0.0.1", "Safari 18")]


def test_browser_that_became_another_is_noted_at_its_first_request_also_if_that_writes(
    engine: str, visit: Visit, clock: Any
) -> None:
    user = UserFactory()
    client = Client()
    visit(lambda request: login(request, user), by=client, headers={"user-agent": LINUX})
    visit(write(x=1), by=client, headers={"user-agent": MAC})
    assert changes() == [("127.0.0.1", "Safari 18")]


def test_devices_that_were_seen_are_not_looked_up_again(engine: str) -> None:
    client = browser(UserFactory(), headers=device(LINUX))
    for agent in (LINUX, MAC):
        client.get("/profile/", headers={"user-agent": agent})
    with CaptureQueriesContext(connection) as queries:
        for agent in (LINUX, MAC, LINUX):
            client.get("/profile/", headers={"user-agent": agent})
    assert not [q for q in queries if "sessionevent" in q["sql"]]


def test_address_counts_as_far_as_it_is_stored_and_trusted(settings: Any) -> None:
    sightings = Sightings(10)

    def is_new(sender: str, forwarded: str = "", **options: Any) -> bool:
        settings.JWTSESSION = options
        environ = {"REMOTE_ADDR": sender, "HTTP_X_FORWARDED_FOR": forwarded}
        return sightings.is_new(str(options), environ, history.get_config())

    for options in ({}, {"STORE_IP": False}, {"TRUSTED_PROXY_COUNT": 1}):
        assert not is_new("192.0.2.1", "198.51.100.1", **options)  # the first of all
    assert is_new("192.0.2.2")
    assert not is_new("192.0.2.1", "198.51.100.2")
    assert not is_new("192.0.2.2", STORE_IP=False)
    assert is_new("192.0.2.1", "198.51.100.2", TRUSTED_PROXY_COUNT=1)


def test_session_on_the_move_is_not_looked_up_for_ever() -> None:
    sightings = Sightings(10)
    config = history.get_config()
    found = [sightings.is_new(SID, {"REMOTE_ADDR": f"192.0.2.{n}"}, config) for n in range(200)]
    assert sum(found) == 49
