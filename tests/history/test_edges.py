"""The history at its edges: whose name was typed, staff who take over, spreadsheets, places."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model, login
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, User
from django.core import mail
from django.core.handlers.wsgi import WSGIHandler
from django.core.signing import TimestampSigner
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from django_jwtsession.backends.process import written
from django_jwtsession.devices.locations import location
from django_jwtsession.devices.places import sightings
from django_jwtsession.history import events as history
from django_jwtsession.models import Session, SessionEvent

from ..conftest import ENGINES, Visit, write
from ..factories import PASSWORD, UserFactory, browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

LINUX = {
    "user-agent": "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"
}
MAC = {
    "user-agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.6 Safari/605.1.15"
}
Kind = SessionEvent.Kind


class EmailBackend(ModelBackend):
    """Logs in by e-mail address, as many sites write it."""

    def authenticate(self, request: Any, **credentials: Any) -> Any:
        name = credentials.get("username") or credentials.get("email")
        user: Any = get_user_model().objects.filter(email__iexact=name).first()
        right = user is not None and user.check_password(credentials["password"])
        return user if right and self.user_can_authenticate(user) else None


@pytest.fixture
def ada(db: None) -> User:
    user: User = UserFactory(username="ada", email="Ada@example.com")
    return user


def kinds(**where: Any) -> list[str]:
    return [event.kind for event in SessionEvent.objects.filter(**where).order_by("pk")]


def try_to_log_in(name: str, password: str = "wrong", **meta: Any) -> Any:
    return Client(**meta).post("/login/", {"username": name, "password": password})


# --- whose name it was ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backends", [["EmailBackend"], ["ModelBackend", "EmailBackend"]], ids="+".join
)
def test_failed_login_by_email_is_the_users(ada: User, settings: Any, backends: list[str]) -> None:
    places = {
        "EmailBackend": "tests.history.test_edges.EmailBackend",
        "ModelBackend": "django.contrib.auth.backends.ModelBackend",
    }
    settings.AUTHENTICATION_BACKENDS = [places[name] for name in backends]
    try_to_log_in("ada@example.com")
    assert kinds(user=ada) == [Kind.LOGIN_FAILED]
    assert try_to_log_in("ada@example.com", PASSWORD).status_code == 302
    assert kinds(user=ada) == [Kind.LOGIN_FAILED, Kind.LOGIN]


def test_email_is_nobodys_name_where_no_backend_takes_it(ada: User) -> None:
    try_to_log_in("ada@example.com")
    assert kinds() == []


def test_right_password_after_a_first_try_by_another_name_is_no_failure(
    ada: User, settings: Any, visit: Visit
) -> None:
    """A site that tries the name as a user name, and then as an address."""
    settings.AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.ModelBackend",
        "tests.history.test_edges.EmailBackend",
    ]

    def view(request: HttpRequest) -> None:
        assert authenticate(request, username="ada", password="other") is None
        user = authenticate(request, email="ada@example.com", password=PASSWORD)
        login(request, user)

    visit(view)
    assert kinds() == [Kind.LOGIN]


def test_inactive_user_may_have_typed_the_right_password(ada: User) -> None:
    User.objects.update(is_active=False)
    try_to_log_in("ada", PASSWORD)
    assert kinds() == []


# --- after the answer ----------------------------------------------------------------------------


def queries_until_the_answer(name: str) -> list[str]:
    """Return the statements that a failed login makes before its answer is out."""
    form = {"username": name, "password": "wrong"}
    environ = RequestFactory().post("/login/", form).environ
    handler = WSGIHandler()
    with CaptureQueriesContext(connection) as queries:
        request = handler.request_class(environ)
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        response = handler.get_response(request)
        found = [q["sql"] for q in queries]
    assert response.status_code == 200
    response.close()
    return found


def test_known_and_unknown_names_ask_the_same_before_the_answer_is_out(ada: User) -> None:
    known, unknown = queries_until_the_answer("ada"), queries_until_the_answer("eve")
    assert len(known) == len(unknown)
    assert not [sql for sql in known + unknown if "sessionevent" in sql]
    assert kinds() == [Kind.LOGIN_FAILED]


# --- lines and cards -----------------------------------------------------------------------------


def test_repeated_failures_of_one_name_are_one_line_with_a_number(ada: User, clock: Any) -> None:
    for _ in range(7):
        try_to_log_in("ada", headers=MAC)
    (event,) = SessionEvent.objects.filter(user=ada)
    assert event.count == 7
    page = browser(ada, headers=LINUX).get("/sessions/history/").content.decode()
    assert page.count("Somebody tried to sign in with a wrong password") == 1
    assert "7 times" in page
    clock.shift(3601)
    try_to_log_in("ada", headers=MAC)
    assert kinds(user=ada, kind=Kind.LOGIN_FAILED) == [Kind.LOGIN_FAILED] * 2


def test_tries_from_everywhere_do_not_fill_the_table(ada: User) -> None:
    for number in range(30):
        try_to_log_in("ada", REMOTE_ADDR=f"192.0.2.{number}")
    events = SessionEvent.objects.filter(user=ada)
    assert events.count() == history._FAILED_LINES
    assert sum(event.count for event in events) == 30


@pytest.mark.parametrize("before", [True, False])
def test_own_typo_is_said_as_what_it_is(ada: User, before: bool) -> None:
    if before:
        browser(ada, headers=LINUX)
    try_to_log_in("ada", headers=LINUX)
    page = browser(ada, headers=LINUX).get("/sessions/history/").content.decode()
    assert "on a device and from an address that you sign in from" in page
    assert "Somebody tried" not in page


def test_same_device_at_another_address_is_somebody(ada: User) -> None:
    client = browser(ada, headers=LINUX)
    try_to_log_in("ada", headers=LINUX, REMOTE_ADDR="198.51.100.1")
    assert "Somebody tried" in client.get("/sessions/history/").content.decode()


def test_login_on_a_new_device_is_one_card(engine: str, ada: User) -> None:
    browser(ada, headers=LINUX)
    page = browser(ada, headers=MAC).get("/sessions/history/").content.decode()
    assert page.count("Safari 18 on macOS") == 1
    assert page.count("First sign-in on a new device") == 1


def test_change_that_several_processes_see_at_once_is_one_note(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(ada, headers=LINUX)
    sid, environ = client.session.sid, {"HTTP_USER_AGENT": "x", "REMOTE_ADDR": "198.51.100.1"}
    look = history._sightings
    looks = iter([look(sid), look(sid)])  # both look before either writes
    monkeypatch.setattr(history, "_sightings", lambda _: next(looks, None) or look(sid))
    monkeypatch.setattr(history, "_leave_one", lambda event: left.append(event))
    left: list[Any] = []
    history.note_change(sid, environ)
    history.note_change(sid, environ)
    assert len(left) == 2
    monkeypatch.undo()
    for event in left:
        history._leave_one(event)
    assert kinds(kind=Kind.CHANGED) == [Kind.CHANGED]


# --- staff who take over -------------------------------------------------------------------------


def hijack(request: HttpRequest, user: User) -> None:
    """Do what django-hijack does."""
    pk = request.user.pk
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session["hijack_history"] = [str(pk)]


def login_as(request: HttpRequest, user: User) -> None:
    """Do what django-loginas does."""
    pk = request.user.pk
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session["loginas_from_user"] = TimestampSigner().sign(str(pk))


@pytest.mark.parametrize("take_over", [hijack, login_as])
def test_staff_who_take_over_stand_in_the_history_as_that(
    engine: str, ada: User, visit: Visit, settings: Any, take_over: Any
) -> None:
    settings.JWTSESSION = {"NEW_DEVICE_EMAIL": True, "MAX_SESSIONS_PER_USER": 1}
    staff = UserFactory(admin=True)
    own, theirs = Client(headers=LINUX), Client(headers=MAC)
    visit(lambda request: login(request, ada), by=own)
    visit(lambda request: login(request, staff), by=theirs)
    visit(lambda request: take_over(request, ada), by=theirs)
    assert visit(lambda request: request.user.username, by=own).content == b"ada"
    assert kinds(user=ada) == [Kind.LOGIN, Kind.TAKEOVER]
    assert SessionEvent.objects.get(kind=Kind.TAKEOVER).actor_id == staff.pk
    assert mail.outbox == []
    settings.ROOT_URLCONF = "tests.urls"
    assert "Staff signed in as you" in own.get("/sessions/history/").content.decode()
    page = browser(staff).get("/admin/django_jwtsession/sessionevent/").content.decode()
    assert "taken over by staff" in page


def test_limit_of_sessions_does_not_count_those_of_staff(
    db_engine: None, ada: User, visit: Visit, settings: Any
) -> None:
    settings.JWTSESSION = {"MAX_SESSIONS_PER_USER": 2}
    first, staff, second = Client(), Client(), Client()
    visit(lambda request: login(request, ada), by=first)
    visit(lambda request: login(request, UserFactory(admin=True)), by=staff)
    visit(lambda request: hijack(request, ada), by=staff)
    visit(lambda request: login(request, ada), by=second)
    for client in (first, staff, second):
        assert visit(lambda request: request.user.username, by=client).content == b"ada"
    assert Session.objects.filter(user=ada).count() == 3


def test_impersonation_is_recorded_without_a_session_to_end(ada: User, rf: RequestFactory) -> None:
    staff = UserFactory(admin=True)
    request = rf.get("/")
    history.note_takeover(impersonator=staff, impersonating=ada, request=request)
    event = SessionEvent.objects.get()
    assert (event.kind, event.user_id, event.actor_id, event.sid) == (
        Kind.TAKEOVER,
        ada.pk,
        staff.pk,
        "",
    )


def test_flag_that_nobody_signed_takes_over_nothing() -> None:
    assert history.takeover.actor_of({"loginas_from_user": "1:forged"}) is None
    assert history.takeover.actor_of({"hijack_history": []}) is None
    assert AnonymousUser().pk is None


# --- who writes, in a process that did not see the login -----------------------------------------


@pytest.mark.parametrize("engine", ["db", "hybrid"])
def test_forty_writes_from_elsewhere_in_another_process_are_one_change(
    engine: str, ada: User, visit: Visit, settings: Any, clock: Any
) -> None:
    settings.SESSION_ENGINE = ENGINES[engine]
    client = Client(headers=LINUX)
    visit(lambda request: login(request, ada), by=client)
    other, seen = Client(headers=MAC, REMOTE_ADDR="198.51.100.7"), []
    for minute in range(40):
        sightings.forget()  # a process that has just started
        written.forget()
        clock.shift(60)
        other.cookies = client.cookies
        visit(write(minute=minute), by=other)
        seen.append(Session.objects.get().last_seen_at)
    changed = SessionEvent.objects.filter(kind=Kind.CHANGED)
    assert [(one.ip_address, one.browser) for one in changed] == [("198.51.100.7", "Safari 18")]
    assert Session.objects.get().get_decoded()["minute"] == 39
    assert len(set(seen)) == 1 + 40 * 60 // 300


# --- places --------------------------------------------------------------------------------------


def place(address: str) -> str | None:
    return {"192.0.2.7": "Berlin, Germany", "192.0.2.8": None}[address]


def test_address_becomes_words_where_the_site_has_a_function(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert location("192.0.2.7") == ""
    settings.JWTSESSION = {"LOCATION": "tests.history.test_edges.place"}
    assert location("192.0.2.7") == "Berlin, Germany"
    assert location("192.0.2.8") == location(None) == ""
    assert not caplog.records
    assert location("192.0.2.9") == ""
    assert "192.0.2.9" not in caplog.text
    assert "KeyError" in caplog.text


def test_documented_function_asks_djangos_geoip2(monkeypatch: pytest.MonkeyPatch) -> None:
    class AddressNotFoundError(Exception):
        """As the library raises it."""

    class GeoIP2:
        def city(self, address: str) -> dict[str, str | None]:
            if address == "192.0.2.9":
                raise AddressNotFoundError
            return {"city": None if address == "192.0.2.8" else "Berlin", "country_name": "Germany"}

    modules = {
        "django.contrib.gis.geoip2": SimpleNamespace(GeoIP2=GeoIP2),
        "geoip2": SimpleNamespace(),
        "geoip2.errors": SimpleNamespace(AddressNotFoundError=AddressNotFoundError),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    docs = (Path(__file__).parents[2] / "docs" / "sessions-pages.md").read_text()
    site: dict[str, Any] = {}
    exec(docs.partition("# site/places.py\n")[2].partition("```")[0], site)
    found = [site["words"](f"192.0.2.{number}") for number in (7, 8, 9)]
    assert found == ["Berlin, Germany", "Germany", ""]


@pytest.mark.urls("tests.urls_password")
def test_mail_names_place_and_site_and_leads_to_both_pages(ada: User, settings: Any) -> None:
    settings.JWTSESSION = {
        "NEW_DEVICE_EMAIL": True,
        "LOCATION": "tests.history.test_edges.place",
    }
    browser(ada, headers=LINUX)
    browser(ada, headers=MAC, REMOTE_ADDR="192.0.2.7")
    (message,) = mail.outbox
    ((html, _),) = message.alternatives  # type: ignore[attr-defined]
    for part in (message.body, html):
        assert "192.0.2.7 (Berlin, Germany)" in part
        assert "your account at testserver" in part
        assert "http://testserver/password/" in part
        assert "http://testserver/sessions/" in part
