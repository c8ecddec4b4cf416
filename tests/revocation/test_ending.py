"""Ending sessions: the same functions for all engines."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_jwtsession.backends import hybrid
from django_jwtsession.exceptions import BadToken
from django_jwtsession.models import Revocation, Session, SessionEvent
from django_jwtsession.models.times import to_datetime
from django_jwtsession.revocation import ending as revocation
from django_jwtsession.revocation import feed
from django_jwtsession.signals import session_revoked
from tests.conftest import ENGINES, NOW, WEEK, Visit, cookie, read, write
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock(clock: Any) -> None:
    feed.forget()


@pytest.fixture
def received() -> Any:
    calls: list[dict[str, Any]] = []

    def receive(**kwargs: Any) -> None:
        calls.append(kwargs)

    session_revoked.connect(receive)
    yield calls
    session_revoked.disconnect(receive)


def who(request: Any) -> str:
    return request.user.get_username()


def logged_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def sid(client: Client) -> str:
    return client.session.sid


def test_ended_session_is_anonymous_at_its_next_request(
    engine: str, user: Any, visit: Visit
) -> None:
    client, other = logged_in(user), logged_in(user)
    revocation.revoke_session(sid(client))
    assert visit(who, by=client).content == b""
    assert visit(who, by=other).content == b"ada"


@pytest.mark.requirement("ASVS 7.4.1")
def test_copy_from_before_logout_is_refused(engine: str, user: Any, visit: Visit) -> None:
    client, thief = logged_in(user), Client()
    thief.cookies["sessionid"] = cookie(client)
    client.logout()
    assert visit(who, by=thief).content == b""


@pytest.mark.requirement("ASVS 7.2.4", "RFC 6265bis 8.4")
def test_copy_from_before_login_is_refused(engine: str, user: Any, visit: Visit) -> None:
    client, thief = Client(), Client()
    visit(write(cart=[1]), by=client)
    thief.cookies["sessionid"] = cookie(client)
    client.force_login(user)
    assert visit(read, by=thief).content == b"[]"
    assert client.session["cart"] == [1]


@pytest.mark.requirement("ASVS 7.4.3")
def test_copy_from_before_a_password_change_is_refused(
    engine: str, user: Any, visit: Visit
) -> None:
    from django.contrib.auth import update_session_auth_hash

    client, thief = logged_in(user), Client()
    thief.cookies["sessionid"] = cookie(client)

    def change(request: Any) -> str:
        request.user.set_password("another")
        request.user.save()
        update_session_auth_hash(request, request.user)
        return "changed"

    visit(change, by=client)
    assert visit(who, by=thief).content == b""
    assert visit(who, by=client).content == b"ada"


def test_everywhere_else_keeps_exactly_this_session(engine: str, user: Any, visit: Visit) -> None:
    stranger = get_user_model().objects.create_user("eve")
    clients = [logged_in(user) for _ in range(3)]
    theirs = logged_in(stranger)
    revocation.revoke_user_sessions(user, keep=clients[1].session)
    assert [visit(who, by=client).content for client in clients] == [b"", b"ada", b""]
    assert visit(who, by=theirs).content == b"eve"


@pytest.mark.parametrize("nobody", [AnonymousUser(), User(), None], ids=["anonymous", "new", "no"])
def test_nobody_has_no_sessions_to_end(
    engine: str, user: Any, visit: Visit, client: Client, nobody: Any
) -> None:
    """A view that ends all of `request.user`'s, visited without a login."""
    visit(write(cart=1))
    assert revocation.revoke_user_sessions(nobody) == 0
    assert visit(lambda request: request.session["cart"]).content == b"1"
    assert Revocation.objects.count() == 0


@pytest.mark.parametrize("name", ["", "no-sid", "A" * 21, "A" * 23, "é" * 22])
def test_what_is_no_sid_is_named_malformed(engine: str, user: Any, name: str) -> None:
    with pytest.raises(BadToken):
        revocation.revoke_session(name)


def test_copy_of_the_cookie_that_is_kept_ends_with_the_others(
    engine: str, user: Any, visit: Visit
) -> None:
    client, thief = logged_in(user), Client()
    thief.cookies["sessionid"] = cookie(client)

    def end_others(request: Any) -> None:
        revocation.revoke_user_sessions(request.user, keep=request.session)

    visit(end_others, by=client)
    assert visit(who, by=thief).content == b""
    assert visit(who, by=client).content == b"ada"


def test_login_after_the_end_of_all_sessions_is_a_session(
    engine: str, user: Any, visit: Visit, clock: Any
) -> None:
    revocation.revoke_user_sessions(user)
    clock.shift(0.01)
    assert visit(who, by=logged_in(user)).content == b"ada"


def test_kept_session_is_kept_under_the_new_id_of_a_password_change(
    engine: str, user: Any, visit: Visit, clock: Any
) -> None:
    client = logged_in(user)
    clock.shift(10)
    revocation.revoke_user_sessions(user, keep=sid(client))
    visit(lambda request: request.session.cycle_key(), by=client)
    assert visit(who, by=client).content == b"ada"


def test_number_of_rows_history_and_signal(
    user: Any, db_engine: None, received: list[dict[str, Any]]
) -> None:
    staff = get_user_model().objects.create_user("staff")
    clients = [logged_in(user) for _ in range(2)]
    SessionEvent.objects.all().delete()
    assert revocation.revoke_user_sessions(user, by=staff, reason="stolen laptop") == 2
    events = SessionEvent.objects.filter(kind="revoked")
    assert {event.sid for event in events} == {call["sid"] for call in received}
    assert {(e.user_id, e.actor_id, e.detail["reason"]) for e in events} == {
        (user.pk, staff.pk, "stolen laptop")
    }
    assert len(clients) == len(events) == 2


def test_history_and_signal_say_why_and_by_whom_all_sessions_ended(
    user: Any, db_engine: None, received: list[dict[str, Any]]
) -> None:
    rows = SessionFactory.create_batch(2, user=user)
    assert revocation.revoke_all_sessions(by=user.pk, reason="a breach") == 2
    events = SessionEvent.objects.filter(kind="revoked")
    assert {(e.sid, e.actor_id, e.detail["reason"], e.ip_address, e.browser) for e in events} == {
        (row.sid, user.pk, "a breach", row.ip_address, row.browser) for row in rows
    }
    told = {(call["sender"], call["by"], call["user_id"], call["reason"]) for call in received}
    assert told == {(Session, user.pk, user.pk, "a breach")}
    everyone = Revocation.objects.get(kind="e")
    assert (everyone.name, everyone.reason) == ("", "a breach")


@pytest.mark.parametrize("has_row", [True, False])
def test_session_that_is_ended_stands_in_the_history_with_its_device(
    user: Any, db_engine: None, clock: Any, has_row: bool
) -> None:
    """Of a session without a row, with the device of its login."""
    row = SessionFactory(user=user)
    device: Any = {
        name: getattr(row, name) for name in ("ip_address", "user_agent", "browser", "os", "device")
    }
    if not has_row:
        login = {"kind": "login", "user": user}
        SessionEvent.objects.create(sid=row.sid, **login, **device)
        clock.shift(1)
        SessionEvent.objects.create(sid=row.sid, kind="changed", user=user, browser="Safari 18")
        SessionEvent.objects.create(sid="A" * 22, **login, browser="Chrome 140")
        Session._base_manager.all().delete()
    assert revocation.revoke_session(row.sid, reason="lost") is has_row
    event = SessionEvent.objects.filter(kind="revoked").values().get()
    expected = device | {"user_id": user.pk, "sid": row.sid, "detail": {"reason": "lost"}}
    assert {name: event[name] for name in expected} == expected


def test_session_of_which_nothing_is_known_ends_all_the_same(db_engine: None) -> None:
    assert not revocation.revoke_session("A" * 22)
    event = SessionEvent.objects.get()
    assert (event.sid, event.user_id) == ("A" * 22, None)
    assert Revocation.objects.get().name == "A" * 22


def test_user_without_rows_is_noted_by_pk_with_no_session(user: Any, db_engine: None) -> None:
    assert revocation.revoke_user_sessions(user.pk) == 0
    event = SessionEvent.objects.get()
    assert (event.sid, event.user_id) == ("", user.pk)
    assert Revocation.objects.get().name == str(user.pk)


def test_many_sessions_end_in_batches(
    user: Any, db_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "_BATCH", 2)
    rows = SessionFactory.create_batch(5, user=user)
    newest_first = Session.objects.order_by("-last_seen_at")
    with CaptureQueriesContext(connection) as queries:
        assert newest_first.revoke() == 5
    assert not Session.objects.exists()
    assert {line.name for line in Revocation.objects.all()} == {row.sid for row in rows}
    selects = [q["sql"] for q in queries if "ORDER BY" in q["sql"]]
    assert len(selects) == 3
    assert sum("> " in sql for sql in selects) == 2  # where the last batch ended


@pytest.mark.parametrize("how", ["revoked", "reused"])
@pytest.mark.parametrize("had_cookie", [True, False])
def test_session_stays_ended_as_long_as_its_tokens_are_good_without_its_row(
    db_engine: None, how: str, had_cookie: bool
) -> None:
    """A copy for REVALIDATE_AFTER and STALE_IF_ERROR; what the engine `cookie` gave out, longer."""
    row = SessionFactory(cookie_until=to_datetime(NOW + 2 * WEEK) if had_cookie else None)
    if how == "revoked":
        revocation.revoke_session(row.sid)
    else:
        revocation.report_reuse(hybrid.SessionStore, Session, row.pk, {})
    assert Revocation.objects.get().expires_at == NOW + (2 * WEEK if had_cookie else 180)


def test_copy_that_is_found_is_told_of_with_everything_that_is_known(
    user: Any, received: list[dict[str, Any]], security_log: Any
) -> None:
    row = SessionFactory(user=user)
    revocation.report_reuse(hybrid.SessionStore, Session, row.pk, {"REMOTE_ADDR": "198.51.100.7"})
    line = Revocation.objects.get()
    assert (line.kind, line.name, line.reason) == ("s", row.sid, "token_reuse")
    event = SessionEvent.objects.get()
    assert (event.sid, event.user_id, event.ip_address) == (row.sid, user.pk, "198.51.100.7")
    assert event.detail == {"ip_address": row.ip_address, "user_agent": row.user_agent}
    [record] = security_log
    assert (record.reason, record.sid) == ("token_reuse", row.sid)
    assert "An old copy of a session cookie was used" in record.getMessage()
    [call] = received
    assert (call["sid"], call["user_id"], call["by"], call["reason"]) == (
        row.sid,
        user.pk,
        None,
        "token_reuse",
    )


def test_copy_that_is_found_twice_is_told_of_once(user: Any, db_engine: None) -> None:
    row = SessionFactory(user=user)
    for _ in range(2):
        revocation.report_reuse(hybrid.SessionStore, Session, row.pk, {})
    assert SessionEvent.objects.count() == 1


def test_revoke_says_whether_there_was_a_row(user: Any, engine: str) -> None:
    name = sid(logged_in(user))
    assert revocation.revoke_session(name) is (engine != "cookie")
    assert revocation.revoke_session(name) is False


@pytest.mark.parametrize("name", ["db", "hybrid"])
def test_queryset_revoke_ends_and_tells(name: str, settings: Any, user: Any, visit: Visit) -> None:
    settings.SESSION_ENGINE = ENGINES[name]
    client = logged_in(user)
    assert Session.objects.filter(user=user).revoke() == 1
    assert visit(who, by=client).content == b""
    assert Revocation.objects.count() >= 1


@pytest.mark.django_db(transaction=True)
async def test_async_twins(user: Any, settings: Any) -> None:
    from asgiref.sync import sync_to_async

    settings.SESSION_ENGINE = ENGINES["hybrid"]
    client = await sync_to_async(logged_in)(user)
    name = await sync_to_async(sid)(client)
    assert await revocation.arevoke_session(name) is True
    assert await revocation.arevoke_user_sessions(user) == 0
    await sync_to_async(logged_in)(user)
    assert await revocation.arevoke_all_sessions() == 1


@pytest.mark.requirement("ASVS 7.4.1")
def test_entry_outlives_every_token_it_blocks(user: Any, settings: Any, clock: Any) -> None:
    settings.SESSION_ENGINE = ENGINES["cookie"]
    client = logged_in(user)
    client.logout()
    [entry] = Revocation.objects.exclude(reason="epoch")
    assert entry.expires_at >= NOW + settings.SESSION_COOKIE_AGE


@pytest.mark.requirement("ASVS 7.4.1")
def test_late_answer_after_logout_sets_no_cookie(
    engine: str, user: Any, visit: Visit, clock: Any
) -> None:
    client = logged_in(user)
    other_tab = Client()
    other_tab.cookies["sessionid"] = cookie(client)

    def slow(request: Any) -> str:
        name = request.user.get_username()
        client.logout()
        clock.shift(2)
        return name

    response = visit(slow, by=other_tab)
    assert response.content == b"ada"
    assert "sessionid" not in response.cookies


def test_late_answer_that_wrote_is_a_400_and_sets_no_cookie(
    engine: str, user: Any, visit: Visit, clock: Any
) -> None:
    client = logged_in(user)
    other_tab = Client()
    other_tab.cookies["sessionid"] = cookie(client)

    def slow(request: Any) -> str:
        request.session["x"] = 1
        client.logout()
        clock.shift(2)
        return "written"

    response = visit(slow, by=other_tab)
    assert response.status_code == 400
    assert "sessionid" not in response.cookies


@pytest.mark.parametrize("view", [read, write(x=1)], ids=["reads", "writes"])
def test_request_of_the_anonymous_session_never_undoes_the_login(
    engine: str, user: Any, visit: Visit, view: Any
) -> None:
    client = Client()
    visit(write(cart=[1]), by=client)
    overtaken = Client()
    overtaken.cookies["sessionid"] = cookie(client)
    client.force_login(user)
    assert "sessionid" not in visit(view, by=overtaken).cookies


def test_double_click_on_login_logs_in(engine: str, user: Any, visit: Visit) -> None:
    from django.contrib.auth import login

    client = Client()
    visit(write(cart=[1]), by=client)
    overtaken = Client()
    overtaken.cookies["sessionid"] = cookie(client)
    client.force_login(user)
    visit(lambda request: login(request, user), by=overtaken)
    assert visit(who, by=overtaken).content == b"ada"


@pytest.mark.parametrize("name", ["db", "hybrid"])
def test_oldest_session_ends_beyond_the_limit(
    name: str, settings: Any, user: Any, visit: Visit, clock: Any
) -> None:
    settings.SESSION_ENGINE = ENGINES[name]
    settings.JWTSESSION = {"MAX_SESSIONS_PER_USER": 2}
    clients = []
    for _ in range(3):
        clock.shift(1)
        clients.append(logged_in(user))
    assert [visit(who, by=client).content for client in clients] == [b"", b"ada", b"ada"]


def test_limit_is_full_with_as_many_living_sessions_of_the_users_own(user: Any) -> None:
    def is_full(limit: int | None, own: list[str] | None = None) -> bool:
        return revocation.is_full(Session, user.pk, limit, own or [])

    SessionFactory.create_batch(2)  # of others
    SessionFactory(user=user, expires_at=to_datetime(NOW - 1))
    assert not is_full(1)
    row = SessionFactory(user=user)
    assert is_full(1)
    assert not is_full(1, [row.sid])
    assert not is_full(2)
    assert not is_full(None)
    assert not revocation.is_full(Session, None, 1, [])
    SessionEvent.objects.create(kind="login", sid=row.sid, user=user)
    assert is_full(1)
    staffs = SessionFactory(user=user)
    SessionEvent.objects.create(kind="takeover", sid=staffs.sid, user=user)
    assert is_full(1)
    assert not is_full(2)
    # What is noted of another's session, or of another user, takes nothing off.
    SessionEvent.objects.create(kind="takeover", sid="A" * 22, user=user)
    SessionEvent.objects.create(kind="takeover", sid=row.sid)
    assert is_full(1)


def test_beyond_the_limit_the_oldest_end_or_the_newest_and_never_those_of_staff(user: Any) -> None:
    def times(age: int) -> dict[str, Any]:
        return {"user": user, "authenticated_at": to_datetime(NOW - age)}

    def living() -> set[str]:
        return {row.sid for row in Session.objects.all()}

    theirs, oldest, older, newer, newest = (SessionFactory(**times(age)) for age in (9, 8, 7, 6, 5))
    SessionEvent.objects.create(kind="takeover", sid=theirs.sid, user=user)
    nobodys = SessionFactory.create_batch(2, user=None)
    always = {theirs.sid, *(row.sid for row in nobodys)}
    revocation.enforce_limit(Session, user.pk, {}, 4)
    revocation.enforce_limit(Session, None, {}, 1)
    revocation.enforce_limit(Session, user.pk, {"hijack_history": ["1"]}, 1)
    assert living() == always | {oldest.sid, older.sid, newer.sid, newest.sid}
    revocation.enforce_limit(Session, user.pk, {}, 3)
    assert living() == always | {older.sid, newer.sid, newest.sid}
    revocation.enforce_limit(Session, user.pk, {}, 2, ends_newest=True)
    assert living() == always | {older.sid, newer.sid}
    events = SessionEvent.objects.filter(kind="revoked")
    assert {event.detail["reason"] for event in events} == {"too many sessions"}


def test_session_tells_whether_it_was_ended(engine: str, user: Any) -> None:
    client = logged_in(user)
    session = client.session
    assert session["_auth_user_id"] == str(user.pk)
    assert session.is_over() is False
    revocation.revoke_session(session.sid)
    assert session.is_over() is True


@pytest.mark.django_db(transaction=True)
async def test_async_session_tells_whether_it_was_ended(engine: str, user: Any) -> None:
    from asgiref.sync import sync_to_async

    client = await sync_to_async(logged_in)(user)
    session = await sync_to_async(lambda: client.session)()
    await session.aget("x")
    assert await session.ais_over() is False
    await revocation.arevoke_session(session.sid)
    assert await session.ais_over() is True


def test_without_a_feed_nothing_is_published(user: Any, settings: Any) -> None:
    settings.JWTSESSION = {"REVOCATION_POLL": None}
    settings.SESSION_ENGINE = ENGINES["cookie"]
    logged_in(user).logout()
    assert not Revocation.objects.exists()


def test_request_of_a_session_that_was_left_does_not_undo_the_next_login(
    engine: str, user: Any, visit: Visit, clock: Any
) -> None:
    """It was sent before the logout, and is answered after the user has logged in again."""
    client = logged_in(user)
    late = Client()
    late.cookies["sessionid"] = cookie(client)
    client.logout()
    for seconds in (0, 61):
        clock.shift(seconds)
        assert "sessionid" not in visit(read, by=late).cookies


def test_logout_of_a_session_that_was_just_ended_deletes_the_cookie(
    engine: str, user: Any, visit: Visit
) -> None:
    client = logged_in(user)
    revocation.revoke_session(sid(client))
    response = visit(lambda request: request.session.flush(), by=client)
    assert response.cookies["sessionid"].value == ""
