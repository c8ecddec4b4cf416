"""manage.py check: each row of the table, and that a good site hears nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from django.core.management import call_command
from django.test import override_settings

from django_jwtsession import checks as our_checks

OURS = "django_jwtsession.middleware.SessionMiddleware"
STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
COOKIE = "django_jwtsession.backends.cookie"
DJANGO = "django.contrib.sessions.backends.db"
SECURE = {
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_NAME": "__Host-sessionid",
}


def found(deploy: bool = False, **settings: Any) -> list[checks.CheckMessage]:
    with override_settings(**settings):
        messages = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=deploy)
    return [m for m in messages if str(m.id).startswith("django_jwtsession.")]


def ids(deploy: bool = False, **settings: Any) -> list[str]:
    return [str(m.id).partition(".")[2] for m in found(deploy, **settings)]


def test_good_site_hears_nothing() -> None:
    assert ids() == []
    assert ids(deploy=True, **SECURE) == []
    assert ids(deploy=True, SESSION_ENGINE=COOKIE, **SECURE) == []


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


@pytest.mark.parametrize(
    "settings",
    [
        {"SECRET_KEY": "short-secret"},
        {"JWTSESSION": {"KEYS": ["short-secret"]}},
        {"JWTSESSION": {"KEYS": ["x" * 32, b"short-secret"]}},
        {"SECRET_KEY_FALLBACKS": ["short-secret"]},
    ],
)
def test_short_key_is_an_error_that_says_how_to_make_one(settings: Any) -> None:
    (message,) = found(**settings)
    assert message.id == "django_jwtsession.E002"
    assert message.level == checks.ERROR
    assert "manage.py jwtsession keygen" in message.msg
    assert "short-secret" not in str(message)


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
def test_cookie_that_browsers_would_refuse_is_an_error(settings: Any, write: str) -> None:
    (message,) = found(**settings)
    assert message.id == "django_jwtsession.E005"
    assert f"Write {write}" in message.msg


@pytest.mark.parametrize("name", ["__Host-id", "__Secure-id", "__Host-Http-id", "__Http-id", "id"])
def test_cookie_that_keeps_its_names_promise_is_fine(name: str) -> None:
    assert ids(**{**SECURE, "SESSION_COOKIE_NAME": name}) == []


def test_idle_age_beyond_the_absolute_age_is_a_warning() -> None:
    assert ids(SESSION_COOKIE_AGE=100 * 86400) == ["W003"]
    assert ids(SESSION_COOKIE_AGE=100, JWTSESSION={"ABSOLUTE_AGE": 99}) == ["W003"]
    assert ids(SESSION_COOKIE_AGE=100, JWTSESSION={"ABSOLUTE_AGE": 100}) == []


def test_allauths_sessions_beside_ours_are_a_warning(monkeypatch: Any) -> None:
    installed = our_checks.apps.is_installed
    monkeypatch.setattr(
        our_checks.apps,
        "is_installed",
        lambda name: name == "allauth.usersessions" or installed(name),
    )
    (message,) = found()
    assert message.id == "django_jwtsession.W004"
    assert "INSTALLED_APPS" in str(message.hint)


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
    ],
)
def test_deployment_is_warned_of_open_cookies(changed: Any, expected: str, write: str) -> None:
    (message,) = found(deploy=True, **SECURE | changed)
    assert message.id == f"django_jwtsession.{expected}"
    assert write in str(message.hint)
    assert ids(**SECURE | changed) == []  # not while developing


def test_prefix_is_not_asked_of_cookies_that_cannot_have_it() -> None:
    shared = {**SECURE, "SESSION_COOKIE_NAME": "id", "SESSION_COOKIE_DOMAIN": ".example.com"}
    assert ids(deploy=True, **shared) == []


def test_every_message_says_what_to_write_and_has_an_id_of_its_own() -> None:
    rows = our_checks._ALWAYS + our_checks._DEPLOY
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert row.id[0] == ("E" if row.level == checks.ERROR else "W")


@pytest.mark.django_db  # Django's own checks may ask SQLite whether it knows JSON
def test_check_command_passes_on_the_test_site() -> None:
    call_command("check")


class ProjectMiddleware(our_checks.import_string(OURS)):  # type: ignore[misc]
    """What a project derives."""
