"""Mails about a new device and a copied cookie: once, after the commit, in nobody's way."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Iterator
from smtplib import SMTPRecipientsRefused
from typing import Any

import django
import pytest
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connections, transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.test import AsyncClient, Client
from django.utils import timezone, translation

from django_jwtsession.history import known
from django_jwtsession.history import mails as alarms
from django_jwtsession.models import SessionEvent
from django_jwtsession.signals import new_device

from ..conftest import ENGINES, Visit, cookie
from ..factories import PASSWORD, UserFactory, browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

LINUX = {
    "user-agent": "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"
}
UPDATED = {"user-agent": LINUX["user-agent"].replace("149", "150")}
MAC = {
    "user-agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/18.6 Safari/605.1.15"
}
ADDRESS = "ada.l@example.com"


@pytest.fixture(autouse=True)
def mails(settings: Any) -> None:
    settings.JWTSESSION = {"NEW_DEVICE_EMAIL": True, "TOKEN_REUSE_EMAIL": True}
    settings.TIME_ZONE = "UTC"
    use(settings, "django.core.mail.backends.locmem.EmailBackend")


def use(settings: Any, backend: str) -> None:
    """Send mails with a backend, named as this Django wants it."""
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend


@pytest.fixture
def ada(db: None) -> User:
    """A user who has logged in on Linux."""
    user: User = UserFactory(username="ada", email=ADDRESS)
    browser(user, headers=LINUX)
    return user


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Callable[[], list[logging.LogRecord]]:
    return lambda: [r for r in caplog.records if r.name == "django_jwtsession"]


def sent() -> Any:
    """Return the only mail that was sent."""
    (message,) = mail.outbox
    return message


def parts(message: Any) -> tuple[str, str]:
    """Return the text and the HTML of a mail."""
    ((html, kind),) = message.alternatives
    assert kind == "text/html"
    return message.body, html


def event(user: User, **values: Any) -> SessionEvent:
    kind = SessionEvent.Kind.NEW_DEVICE
    return SessionEvent(kind=kind, user=user, created_at=timezone.now(), **values)


# --- a new device --------------------------------------------------------------------------------


def test_new_device_is_mailed_with_text_and_html(engine: str, ada: User, clock: Any) -> None:
    browser(ada, headers=MAC, REMOTE_ADDR="192.0.2.7")
    message = sent()
    assert message.to == [ADDRESS]
    assert message.subject == "Your account was used on a new device"
    assert message.extra_headers == {"Auto-Submitted": "auto-generated"}
    for part in parts(message):
        for words in (
            "Hello ada,",
            "Device: Safari 18 on macOS",
            "IP address: 192.0.2.7",
            "Time: Jan. 1, 2026, 12:16 a.m. (UTC)",
            "http://testserver/sessions/",
        ):
            assert words in part
    assert "\n\n\n" not in message.body


def test_first_login_of_a_user_is_not_mailed(engine: str, ada: User) -> None:
    assert mail.outbox == []


def test_device_is_mailed_once(engine: str, ada: User) -> None:
    for device in (MAC, MAC, LINUX, UPDATED, MAC):
        browser(ada, headers=device)
    assert len(mail.outbox) == 1


def test_parallel_logins_on_one_new_device_are_one_mail(
    db_engine: None, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both read before either has written.
    monkeypatch.setattr(known, "is_new", lambda _: True)
    browser(ada, headers=MAC)
    browser(ada, headers=MAC)
    assert SessionEvent.objects.filter(kind=SessionEvent.Kind.NEW_DEVICE).count() == 2
    assert len(mail.outbox) == 1


def test_nothing_is_mailed_by_default(engine: str, ada: User, settings: Any) -> None:
    settings.JWTSESSION = {}
    browser(ada, headers=MAC)
    assert mail.outbox == []


def test_user_without_address_gets_nothing(
    db_engine: None, ada: User, records: Callable[[], list[Any]]
) -> None:
    User.objects.update(email="")
    browser(ada, headers=MAC)
    assert mail.outbox == []
    assert records() == []


def test_address_that_is_not_stored_is_left_out(db_engine: None, ada: User, settings: Any) -> None:
    settings.JWTSESSION = {"NEW_DEVICE_EMAIL": True, "STORE_IP": False}
    browser(ada, headers=MAC)
    for part in parts(sent()):
        assert "IP address" not in part
        assert "None" not in part


def test_mail_speaks_the_language_of_the_request(
    db_engine: None, ada: User, settings: Any, clock: Any
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    with translation.override(None):  # the middleware leaves its own
        browser(ada, headers=MAC | {"accept-language": "de"})
    text, html = parts(sent())
    assert '<html lang="de">' in html
    assert "1. Januar 2026 00:16" in text


def test_time_is_in_the_current_time_zone(db_engine: None, ada: User, clock: Any) -> None:
    with timezone.override("Europe/Berlin"):
        browser(ada, headers=MAC)
    assert "Time: Jan. 1, 2026, 1:16 a.m. (Europe/Berlin)" in sent().body


async def test_login_under_asgi_is_mailed(
    transactional_db: None, own_connection: None, settings: Any
) -> None:
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    user = await User.objects.acreate(username="ada", email=ADDRESS)
    user.set_password(PASSWORD)
    await user.asave()
    for device in (LINUX, MAC):
        form = {"username": "ada", "password": PASSWORD}
        response = await AsyncClient().post("/login/", form, headers=device)
        assert response.status_code == 302
    assert "http://testserver/sessions/" in sent().body


def test_site_sends_it_its_own_way_and_language(db_engine: None, ada: User, settings: Any) -> None:
    @receiver(new_device)
    def tell(event: Any, environ: Any, **kwargs: Any) -> None:
        with translation.override("fr"):
            alarms.send_alarm(event, environ)

    settings.JWTSESSION = {}
    try:
        browser(ada, headers=MAC)
    finally:
        new_device.disconnect(tell)
    assert '<html lang="fr">' in parts(sent())[1]


def test_site_writes_its_own_templates(db_engine: None, ada: User, settings: Any) -> None:
    own = {
        "jwtsession/mail/new_device_subject.txt": "\n  Who is\nthat?\n",
        "jwtsession/mail/base.txt": "{% block message %}{% endblock %} -- ACME",
    }
    (engine,) = copy.deepcopy(settings.TEMPLATES)
    engine["APP_DIRS"] = False
    engine["OPTIONS"]["loaders"] = [
        ("django.template.loaders.locmem.Loader", own),
        "django.template.loaders.app_directories.Loader",
    ]
    settings.TEMPLATES = [engine]
    browser(ada, headers=MAC)
    assert sent().subject == "Who is that?"
    assert sent().body.endswith("used on before. -- ACME")


# --- what a request can put into it --------------------------------------------------------------


def test_device_is_escaped_in_html(ada: User) -> None:
    message: Any = alarms.alarm_message(event(ada, browser="<b>R&D</b>"), {})
    text, html = parts(message)
    assert "Device: <b>R&D</b>\n" in text
    assert "Device: &lt;b&gt;R&amp;D&lt;/b&gt;<" in html


def test_device_that_would_become_a_link_is_not_named(db_engine: None, ada: User) -> None:
    browser(ada, headers={"user-agent": "evil.example/1"})
    for part in parts(sent()):
        assert "evil" not in part
        assert "Device: Unknown device" in part


@pytest.mark.parametrize(
    ("environ", "changed", "url"),
    [
        ({"wsgi.url_scheme": "http"}, {}, "http://site.example/sessions/"),
        ({"wsgi.url_scheme": "https"}, {}, "https://site.example/sessions/"),
        (
            {"wsgi.url_scheme": "http", "HTTP_X_FORWARDED_PROTO": "https"},
            {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
            "https://site.example/sessions/",
        ),
        ({}, {"SESSION_COOKIE_SECURE": True}, "https://site.example/sessions/"),
        ({"HTTP_HOST": "evil.example"}, {}, None),
        ({"HTTP_HOST": "site.example@evil.example"}, {}, None),
        ({"HTTP_HOST": "site.example\r\nBcc: x@evil.example"}, {}, None),
        ({}, {"ROOT_URLCONF": "tests.urls_engines"}, None),
    ],
)
def test_link_leads_to_the_host_of_the_request_if_it_is_an_allowed_one(
    ada: User, settings: Any, environ: Any, changed: Any, url: str | None
) -> None:
    settings.ALLOWED_HOSTS = ["site.example"]
    for name, value in changed.items():
        setattr(settings, name, value)
    environ = {"HTTP_HOST": "site.example", "SERVER_NAME": "a", "SERVER_PORT": "80"} | environ
    message: Any = alarms.alarm_message(event(ada), environ)
    text, html = parts(message)
    assert (f"Your sessions: {url}" in text) == (url is not None)
    assert (f'<a href="{url}">' in html) == (url is not None)
    assert "evil" not in text + html + message.subject


def test_mail_is_written_without_a_request_too(ada: User) -> None:
    message: Any = alarms.alarm_message(event(ada), {})
    assert "Your sessions" not in message.body


# --- nothing breaks a login, and nothing holds it up ----------------------------------------------


class Refusing(BaseEmailBackend):
    """A mail server that knows nobody here."""

    def send_messages(self, messages: Any) -> int:
        raise SMTPRecipientsRefused({ADDRESS: (550, b"no such mailbox")})


class Slow(BaseEmailBackend):
    """A mail server that answers when the test lets it."""

    released = threading.Event()
    seen: list[str] = []  # noqa: RUF012

    def send_messages(self, messages: Any) -> int:
        assert self.released.wait(30)
        self.seen.append(threading.current_thread().name)
        return len(messages)


def test_failing_mail_server_is_a_record_without_the_address(
    engine: str, ada: User, settings: Any, records: Callable[[], list[Any]]
) -> None:
    use(settings, "tests.history.test_mails.Refusing")
    client = browser(ada, headers=MAC)
    assert client.get("/closed/").status_code == 200
    (record,) = records()
    assert record.getMessage() == (
        "The mail about the event 'new_device' could not be sent: SMTPRecipientsRefused."
    )
    assert record.exc_info is None
    assert ADDRESS not in str(vars(record))


def test_broken_template_breaks_no_login(
    db_engine: None, ada: User, settings: Any, records: Callable[[], list[Any]]
) -> None:
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": False}
    ]
    client = Client()
    client.force_login(ada)  # the login page would need a template as well
    assert client.get("/closed/").status_code == 200
    (record,) = records()
    assert record.getMessage().endswith("could not be sent: TemplateDoesNotExist.")


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mails go out as they do outside tests."""
    monkeypatch.setattr(alarms, "in_test_environment", lambda: False)
    Slow.seen.clear()
    Slow.released.clear()
    yield
    Slow.released.set()


def wait_for_mails() -> None:
    for thread in threading.enumerate():
        if thread.name == "jwtsession-mail":
            thread.join(30)


def test_slow_mail_server_does_not_hold_up_the_login(
    db_engine: None, ada: User, settings: Any, threads: None
) -> None:
    use(settings, "tests.history.test_mails.Slow")
    client = browser(ada, headers=MAC)
    assert client.get("/closed/").status_code == 200
    assert Slow.seen == []
    Slow.released.set()
    wait_for_mails()
    assert Slow.seen == ["jwtsession-mail"]


def test_failure_in_the_thread_is_logged_as_well(
    db_engine: None, ada: User, settings: Any, threads: None, records: Callable[[], list[Any]]
) -> None:
    use(settings, "tests.history.test_mails.Refusing")
    browser(ada, headers=MAC)
    wait_for_mails()
    (record,) = records()
    assert "SMTPRecipientsRefused" in record.getMessage()


# --- transactions --------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_rolled_back_request_sends_no_mail(
    transactional_db: None,
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    fails: bool,
) -> None:
    def view(request: HttpRequest) -> str:
        login(request, user)
        assert mail.outbox == []
        if fails:
            raise RuntimeError("after the login")
        return "logged in"

    user = UserFactory()
    visit(lambda request: login(request, user), by=Client(headers=LINUX))
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    client = Client(headers=MAC, raise_request_exception=False)
    assert visit(view, by=client).status_code == (500 if fails else 200)
    assert len(mail.outbox) == (0 if fails else 1)


def test_language_at_the_login_counts_not_that_at_the_commit(
    transactional_db: None, visit: Visit
) -> None:
    def view(request: HttpRequest) -> str:
        with transaction.atomic(), translation.override("es"):
            with translation.override("de"):
                login(request, user)
            assert mail.outbox == []
        return "logged in"

    user = UserFactory()
    visit(lambda request: login(request, user), by=Client(headers=LINUX))
    visit(view, by=Client(headers=MAC))
    assert '<html lang="de">' in parts(sent())[1]


# --- an old copy of the cookie -------------------------------------------------------------------


def use_an_old_copy(user: User, clock: Any) -> Client:
    """Let the cookie of a browser be replaced twice, and return who used the first one then."""
    client, thief = browser(user, headers=LINUX), Client(headers=MAC, REMOTE_ADDR="198.51.100.7")
    thief.cookies["sessionid"] = cookie(client)
    for seconds in (3601, 61, 301):
        clock.shift(seconds)
        client.get("/closed/")
    response = thief.get("/closed/")
    assert response.status_code == 302
    return thief


def test_use_of_an_old_copy_is_mailed(ada: User, settings: Any, clock: Any) -> None:
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    thief = use_an_old_copy(ada, clock)
    thief.get("/closed/")
    message = sent()
    assert message.subject == "Your session was ended: an old copy of its cookie was used"
    assert message.to == [ADDRESS]
    for part in parts(message):
        for words in (
            "An old copy of your session cookie was used.",
            "Device: Safari 18 on macOS",
            "IP address: 198.51.100.7",
            "http://testserver/sessions/",
        ):
            assert words in part


def test_each_mail_has_a_setting_of_its_own(ada: User, settings: Any, clock: Any) -> None:
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    settings.JWTSESSION = {"NEW_DEVICE_EMAIL": True}
    use_an_old_copy(ada, clock)
    assert mail.outbox == []
    settings.JWTSESSION = {"TOKEN_REUSE_EMAIL": True}
    browser(ada, headers=MAC)
    assert mail.outbox == []
    use_an_old_copy(ada, clock)
    assert len(mail.outbox) == 1


def test_anonymous_session_has_nobody_to_be_mailed(
    db: None, records: Callable[[], list[Any]]
) -> None:
    reuse = SessionEvent(kind=SessionEvent.Kind.TOKEN_REUSE, sid="x", user_id=None)
    alarms.on_token_reused(event=reuse, environ={})
    assert mail.outbox == []
    assert records() == []
