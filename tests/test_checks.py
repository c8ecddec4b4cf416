"""manage.py check: each row of the table, and that a good site hears nothing."""

from __future__ import annotations

import os
import secrets
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core import checks
from django.core.management import call_command
from django.db import models
from django.test import override_settings
from django.test.utils import isolate_apps

from django_jwtsession import checks as our_checks
from django_jwtsession.checks import keys, neighbours, values
from django_jwtsession.middleware import SessionMiddleware

OURS = "django_jwtsession.middleware.SessionMiddleware"
STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
PAGES = {"LOGIN_URL": "login", "LOGIN_REDIRECT_URL": "jwtsession:sessions"}
# As `openssl rand -base64 32` prints one; of nobody.
SECRET = "q0Vx3yJ8m1wZ5nT7bR2kL9sD4fG6hC0aPeUiXoYvWuE="
COOKIE = "django_jwtsession.backends.cookie"
DJANGO = "django.contrib.sessions.backends.db"
SECURE = {
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_NAME": "__Host-sessionid",
}


def found(deploy: bool = False, **settings: Any) -> list[checks.CheckMessage]:
    with override_settings(**PAGES | settings):
        messages = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=deploy)
    return [m for m in messages if str(m.id).startswith("django_jwtsession.")]


def ids(deploy: bool = False, **settings: Any) -> list[str]:
    return [str(m.id).partition(".")[2] for m in found(deploy, **settings)]


def test_good_site_hears_nothing() -> None:
    assert ids() == []
    assert ids(deploy=True, **SECURE) == []
    assert ids(deploy=True, SESSION_ENGINE=COOKIE, **SECURE) == ["I002"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ALGORITHM": ["HS256"]}, "Did you mean 'ALGORITHMS'?"),
        ({"absolute_age": 5}, "Did you mean 'ABSOLUTE_AGE'?"),
        ({"ALGORITHMS": ["none"]}, 'JWTSESSION["ALGORITHMS"] must be a list'),
        ({"LEEWAY": "15"}, "seconds or a timedelta, such as 15"),
        ([], "write JWTSESSION = {}"),
    ],
)
def test_mistyped_setting_is_named_with_what_to_write(given: Any, told: str) -> None:
    (message,) = found(JWTSESSION=given)
    assert message.id == "django_jwtsession.E001"
    assert message.level == checks.ERROR
    assert told in message.msg


def test_each_mistyped_setting_has_its_own_message() -> None:
    assert ids(JWTSESSION={"A": 1, "LEEWAY": None, "COMPRESS": 1}) == ["E001"] * 3


SHORT: list[dict[str, Any]] = [
    {"SECRET_KEY": "short-secret"},
    {"JWTSESSION": {"KEYS": ["short-secret"]}},
    {"JWTSESSION": {"KEYS": [SECRET, b"short-secret"]}},
    {"SECRET_KEY_FALLBACKS": ["short-secret"]},
]


@pytest.fixture
def outside_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where visitors come: not in Django's test environment."""
    monkeypatch.setattr(keys, "in_test_environment", lambda: False)


@pytest.mark.parametrize("settings", SHORT)
@pytest.mark.usefixtures("outside_tests")
def test_short_key_is_an_error_that_says_how_to_make_one(settings: Any) -> None:
    (message,) = found(**settings)
    assert message.id == "django_jwtsession.E008"
    assert message.level == checks.ERROR
    assert "manage.py jwtsession keygen" in str(message.hint)
    assert "short-secret" not in str(message)


@pytest.mark.parametrize("settings", SHORT)
@pytest.mark.requirement("RFC 8725 3.5")
def test_short_key_is_a_warning_in_tests_and_an_error_at_deploy(settings: Any) -> None:
    assert ids(**settings) == ["W008"]
    assert "E009" in ids(deploy=True, **settings)


@pytest.mark.usefixtures("outside_tests")
def test_short_key_is_a_warning_while_developing() -> None:
    assert ids(SECRET_KEY="test", DEBUG=True) == ["W008"]


@pytest.mark.parametrize("secret", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}\r\n".encode()])
def test_white_space_around_a_secret_is_a_warning(secret: Any) -> None:
    (message,) = found(JWTSESSION={"KEYS": [SECRET, secret]})
    assert message.id == "django_jwtsession.W009"
    assert message.msg.startswith('Key 2 of JWTSESSION["KEYS"]')
    assert ".strip()" in message.msg


@pytest.mark.parametrize(
    "secret",
    ["password" * 5, "a" * 40, "django-insecure-" + SECRET, b"0123456789" * 4, "ab" * 20],
)
@pytest.mark.requirement("RFC 8725 3.5")
def test_secret_that_is_easily_guessed_is_warned_of_at_deploy(secret: Any) -> None:
    (message,) = found(deploy=True, JWTSESSION={"KEYS": [secret]}, **SECURE)
    assert message.id == "django_jwtsession.W017"
    assert ids(JWTSESSION={"KEYS": [secret]}) == []


@pytest.mark.parametrize("make", [os.urandom, secrets.token_hex, secrets.token_urlsafe])
def test_secret_that_was_drawn_by_lot_is_fine(make: Any) -> None:
    assert not any(keys.is_guessable(as_bytes(make(32))) for _ in range(200))


def as_bytes(secret: str | bytes) -> bytes:
    return secret.encode() if isinstance(secret, str) else secret


def test_keys_that_cannot_issue_are_an_error() -> None:
    (message,) = found(JWTSESSION={"ALGORITHMS": ["ES256"]})
    assert message.id == "django_jwtsession.E002"
    assert "ES256" in message.msg


@pytest.mark.parametrize("engine", [COOKIE, "django_jwtsession.backends.db", "tests.models"])
def test_engine_without_session_middleware_is_an_error(engine: str) -> None:
    (message,) = found(SESSION_ENGINE=engine, MIDDLEWARE=[AUTH])
    assert message.id == "django_jwtsession.W005"
    assert OURS in str(message.hint)


def test_stock_middleware_is_a_warning_that_names_ours() -> None:
    (message,) = found(SESSION_ENGINE=COOKIE, MIDDLEWARE=[STOCK, AUTH])
    assert message.id == "django_jwtsession.W002"
    assert OURS in str(message.hint)


def test_subclass_of_the_middleware_counts() -> None:
    assert ids(MIDDLEWARE=["tests.test_checks.ProjectMiddleware", AUTH]) == []


def test_middleware_with_another_engine_is_only_a_warning() -> None:
    (message,) = found(SESSION_ENGINE=DJANGO)
    assert message.id == "django_jwtsession.W001"
    assert message.level == checks.WARNING


def test_site_that_uses_neither_hears_nothing() -> None:
    assert ids(SESSION_ENGINE=DJANGO, MIDDLEWARE=[STOCK, AUTH]) == []


@pytest.mark.parametrize(
    ("engine", "near"),
    [
        ("django_jwtsession.backends.coookie", "django_jwtsession.backends.cookie"),
        ("django_jwtsession.backends.database", "django_jwtsession.backends.db"),
        ("django_jwtsession.backends.hybird", "django_jwtsession.backends.hybrid"),
        ("django_jwtsession.db", "django_jwtsession.backends.db"),
        ("django_jwtsession.backends.base", "django_jwtsession.backends."),
        ("django_jwtsession.backends.db.SessionStore", "django_jwtsession.backends.db"),
        ("django_jwtsession", "django_jwtsession.backends."),
    ],
)
def test_engine_that_does_not_exist_is_an_error_with_the_nearest_name(
    engine: str, near: str
) -> None:
    (message,) = found(SESSION_ENGINE=engine)
    assert message.id == "django_jwtsession.E004"
    assert f"Did you mean '{near}" in message.msg


@pytest.mark.parametrize("engine", ["", None])
def test_engine_that_a_variable_of_the_environment_leaves_out_is_an_error(engine: Any) -> None:
    (message,) = found(SESSION_ENGINE=engine)
    assert message.id == "django_jwtsession.E004"


@pytest.mark.parametrize(
    ("settings", "write"),
    [
        ({"SESSION_COOKIE_NAME": "__Host-id"}, "SESSION_COOKIE_SECURE = True"),
        ({"SESSION_COOKIE_NAME": "__secure-id"}, "SESSION_COOKIE_SECURE = True"),
        ({**SECURE, "SESSION_COOKIE_DOMAIN": ".example.com"}, "SESSION_COOKIE_DOMAIN = None"),
        ({**SECURE, "SESSION_COOKIE_PATH": "/app"}, 'SESSION_COOKIE_PATH = "/"'),
        (
            {**SECURE, "SESSION_COOKIE_NAME": "__Host-Http-id", "SESSION_COOKIE_HTTPONLY": False},
            "SESSION_COOKIE_HTTPONLY = True",
        ),
    ],
)
@pytest.mark.requirement("ASVS 3.3.1", "RFC 6265bis 4.1.3")
def test_cookie_that_browsers_would_refuse_is_an_error(settings: Any, write: str) -> None:
    (message,) = found(**settings)
    assert message.id == "django_jwtsession.E005"
    assert f"Write {write}" in message.msg


@pytest.mark.parametrize("name", ["__Host-id", "__Secure-id", "__Host-Http-id", "__Http-id", "id"])
@pytest.mark.requirement("RFC 6265bis 4.1.3")
def test_cookie_that_keeps_its_names_promise_is_fine(name: str) -> None:
    assert ids(**{**SECURE, "SESSION_COOKIE_NAME": name}) == []


@pytest.mark.parametrize("name", [None, "", 7, "two words", "id=1", "id;", "id\n", "größe"])
def test_name_that_no_cookie_can_have_is_an_error(name: Any) -> None:
    assert ids(SESSION_COOKIE_NAME=name) == ["E015"]
    assert "E015" in ids(deploy=True, **{**SECURE, "SESSION_COOKIE_NAME": name})


def test_idle_age_beyond_the_absolute_age_is_a_warning() -> None:
    assert ids(SESSION_COOKIE_AGE=100 * 86400) == ["W003"]
    assert ids(SESSION_COOKIE_AGE=100, JWTSESSION={"ABSOLUTE_AGE": 99}) == ["W003"]
    assert ids(SESSION_COOKIE_AGE=100, JWTSESSION={"ABSOLUTE_AGE": 100}) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"JWTSESSION": {"ROTATE_AFTER": 200}}, "W020"),
        ({"JWTSESSION": {"STALE_IF_ERROR": 241}}, "W021"),
        ({"JWTSESSION": {"REVOCATION_POLL": None}, "SESSION_ENGINE": COOKIE}, "W022"),
    ],
)
def test_contradiction_is_a_warning_that_names_the_other_setting(settings: Any, told: str) -> None:
    assert ids(**settings) == [told]


@pytest.mark.parametrize(
    "settings",
    [
        {"JWTSESSION": {"ROTATE_AFTER": 300}},
        {"JWTSESSION": {"ROTATE_AFTER": None, "STALE_IF_ERROR": 600}},
        {"JWTSESSION": {"STALE_IF_ERROR": 240}},
        {"JWTSESSION": {"REVOCATION_POLL": None}},  # with rows they are asked
    ],
)
def test_no_contradiction_is_no_warning(settings: Any) -> None:
    assert ids(**settings) == []


@pytest.mark.parametrize(
    ("vendor", "options", "told"),
    [
        ("postgresql", {}, ["connect_timeout"]),
        ("postgresql", {"connect_timeout": 60}, ["connect_timeout"]),
        ("postgresql", {"connect_timeout": 5, "pool": True}, ['pool["timeout"]']),
        ("postgresql", {"connect_timeout": 5, "pool": {"timeout": 5}}, []),
        ("mysql", {"connect_timeout": 5}, []),
        ("mysql", {}, ["connect_timeout"]),
        ("sqlite", {}, []),
    ],
)
def test_database_without_a_time_limit_is_warned_of_at_deploy(
    monkeypatch: pytest.MonkeyPatch, vendor: str, options: dict[str, Any], told: list[str]
) -> None:
    database = SimpleNamespace(vendor=vendor, settings_dict={"OPTIONS": options})
    monkeypatch.setattr(values, "connections", {"default": database})
    messages = values._timeouts()
    assert len(messages) == len(told)
    assert all(name in message for name, message in zip(told, messages, strict=True))


# --- neighbours ----------------------------------------------------------------------------------


def beside(monkeypatch: pytest.MonkeyPatch, *models_: Any, app: str = "") -> None:
    """Let a site have these models, or an app of this name, beside its own."""
    registry = SimpleNamespace(
        get_models=lambda include_auto_created: models_ if include_auto_created else (),
        is_installed=lambda name: name == app,
    )
    monkeypatch.setattr(neighbours, "apps", registry)


@isolate_apps("tests")
def test_column_of_session_keys_beside_the_cookie_engine_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Cart(models.Model):  # noqa: DJ008
        session_key = models.CharField(max_length=40)
        note = models.CharField(max_length=40)

    class Visit(models.Model):  # noqa: DJ008
        session_id = models.TextField()
        old_session_keys = models.CharField(max_length=400)

    class OfAnotherEngine(models.Model):  # noqa: DJ008
        session_key = models.CharField(max_length=40)
        session_data = models.TextField()

    beside(monkeypatch, Cart, OfAnotherEngine, Visit)
    messages = found(SESSION_ENGINE=COOKIE)
    assert [m.id for m in messages] == ["django_jwtsession.W025"] * 3
    named = [m.msg.partition(" ")[0] for m in messages]
    assert named == ["tests.Cart.session_key", "tests.Visit.session_id", NAMED_LAST]
    assert all("request.session.sid" in str(m.hint) for m in messages)
    assert ids() == []  # with rows a key has 40 characters


@isolate_apps("tests")
@pytest.mark.parametrize("engine", ["db", "hybrid"])
def test_column_that_is_too_short_for_a_key_is_named(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    class Cart(models.Model):  # noqa: DJ008
        sessionkey = models.CharField(max_length=32)
        session_key = models.CharField(max_length=40)
        last_session_key = models.TextField()

    beside(monkeypatch, Cart)
    (message,) = found(SESSION_ENGINE=f"django_jwtsession.backends.{engine}")
    assert message.id == "django_jwtsession.W025"
    assert message.msg.startswith("tests.Cart.sessionkey is for a session key, which has 40")
    assert ids(SESSION_ENGINE=DJANGO, MIDDLEWARE=[STOCK, AUTH]) == []


NAMED_LAST = "tests.Visit.old_session_keys"


@isolate_apps("tests")
@pytest.mark.parametrize("engine", [COOKIE, "django_jwtsession.backends.db"])
def test_foreign_key_to_djangos_sessions_is_named(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    class Basket(models.Model):  # noqa: DJ008
        session = models.ForeignKey("sessions.Session", models.CASCADE)

    beside(monkeypatch, Basket)
    (message,) = found(SESSION_ENGINE=engine)
    assert message.id == "django_jwtsession.W026"
    assert message.msg.startswith("tests.Basket.session points at sessions.Session")
    assert ids(SESSION_ENGINE=DJANGO, MIDDLEWARE=[STOCK, AUTH]) == []


@pytest.mark.parametrize(
    "app", ["django_otp", "two_factor", "formtools", "axes", "allauth.account"]
)
def test_app_that_counts_in_the_session_beside_the_cookie_engine_is_named(
    monkeypatch: pytest.MonkeyPatch, app: str
) -> None:
    beside(monkeypatch, app=app)
    (message,) = found(SESSION_ENGINE=COOKIE)
    assert message.id == "django_jwtsession.W024"
    assert "django_jwtsession.backends.hybrid" in str(message.hint)
    assert ids() == []


@pytest.mark.parametrize(
    "settings",
    [
        {"LOGIN_URL": "logon"},
        {"LOGIN_URL": "/accounts/login/"},
        {"LOGIN_REDIRECT_URL": "/accounts/profile/"},
        {"LOGIN_REDIRECT_URL": "nowhere"},
    ],
)
def test_setting_that_names_no_page_is_a_warning(settings: dict[str, str]) -> None:
    (message,) = found(**settings)
    assert message.id == "django_jwtsession.W023"
    assert f"Write {next(iter(settings))} = " in message.msg


@pytest.mark.parametrize(
    "url",
    [
        "login",
        "/login/",
        "/login",
        "/login/?by=mail",
        "https://sso.example.com/",
    ],
)
def test_setting_that_names_a_page_is_fine(url: str) -> None:
    assert ids(LOGIN_URL=url) == []


@pytest.mark.parametrize("key", ["NEW_DEVICE_EMAIL", "TOKEN_REUSE_EMAIL"])
def test_mails_that_cannot_link_to_the_sessions_are_a_warning(key: str) -> None:
    assert ids(JWTSESSION={key: True}) == []
    assert ids(ROOT_URLCONF="tests.urls_engines") == []
    (message,) = found(JWTSESSION={key: True}, ROOT_URLCONF="tests.urls_engines")
    assert message.id == "django_jwtsession.W006"
    assert message.level == checks.WARNING
    assert 'include("django_jwtsession.urls")' in str(message.hint)


@pytest.mark.parametrize(
    ("changed", "expected", "write"),
    [
        ({"SESSION_COOKIE_SECURE": False, "SESSION_COOKIE_NAME": "id"}, "W010", "SECURE = True"),
        ({"SESSION_COOKIE_HTTPONLY": False}, "W011", "SESSION_COOKIE_HTTPONLY = True"),
        ({"SESSION_COOKIE_NAME": "sessionid"}, "W012", '"__Host-sessionid"'),
        ({"SESSION_COOKIE_SAMESITE": "None"}, "W013", '"Lax"'),
        ({"SESSION_COOKIE_SAMESITE": False}, "W014", '"Lax"'),
    ],
)
@pytest.mark.requirement("ASVS 3.3.1", "ASVS 3.3.2", "ASVS 3.3.4")
def test_deployment_is_warned_of_open_cookies(changed: Any, expected: str, write: str) -> None:
    (message,) = found(deploy=True, **SECURE | changed)
    assert message.id == f"django_jwtsession.{expected}"
    assert write in str(message.hint)
    assert ids(**SECURE | changed) == []  # not while developing


@pytest.mark.requirement("ASVS 3.3.3")
def test_prefix_is_asked_of_a_cookie_by_what_it_can_have() -> None:
    shared = {**SECURE, "SESSION_COOKIE_NAME": "id", "SESSION_COOKIE_DOMAIN": ".example.com"}
    assert ids(deploy=True, **shared) == ["W015"]
    assert ids(deploy=True, **shared | {"SESSION_COOKIE_NAME": "__Secure-id"}) == []


@pytest.mark.requirement("ASVS 3.3.2")
def test_samesite_none_without_https_is_an_error() -> None:
    assert ids(SESSION_COOKIE_SAMESITE="None") == ["E010"]


@pytest.mark.requirement("ASVS 9.2.4")
def test_keys_that_are_published_without_an_audience_are_warned_of() -> None:
    key = generate_private_key(SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    signed = {"ALGORITHMS": ["ES256"], "KEYS": [pem]}
    assert ids(deploy=True, JWTSESSION=signed, **SECURE) == ["W016"]
    named = {**signed, "AUDIENCE": "https://example.com"}
    assert ids(deploy=True, JWTSESSION=named, **SECURE) == []
    assert (
        ids(deploy=True, JWTSESSION=signed, **SECURE | {"ROOT_URLCONF": "tests.urls_engines"}) == []
    )


def test_every_message_says_what_to_write_and_has_an_id_of_its_own() -> None:
    rows = our_checks.ALWAYS + our_checks.DEPLOY
    assert len({row.id for row in rows}) == len(rows)


@pytest.mark.django_db  # Django's own checks may ask SQLite whether it knows JSON
def test_check_command_passes_on_the_test_site() -> None:
    call_command("check")


class ProjectMiddleware(SessionMiddleware):
    """What a project derives."""
