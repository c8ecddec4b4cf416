"""What `check` says of MIGRATE_FROM, MIGRATE_SHARE and MIGRATE_TO."""

from __future__ import annotations

from typing import Any

import pytest

from django_jwtsession.checks import check_settings
from django_jwtsession.conf import get_config
from django_jwtsession.moving.sources import sources

from .conftest import DB, OLD, old_of

OURS = "django_jwtsession.backends.db"
JOSE = "django_jwtsession.contrib.migrate.jose_hs256"
IRON = "django_jwtsession.contrib.migrate.ironsession"


def found(settings: Any, **jwtsession: Any) -> list[tuple[str, str]]:
    settings.JWTSESSION = jwtsession
    messages = check_settings()
    ids = [(str(message.id).rpartition(".")[2], message.msg) for message in messages]
    return [each for each in ids if "MIGRATE" in each[1]]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "django",
        7,
        [],
        {},
        {"engine": ""},
        {"engine": DB, "nonsense": 1},
        {"engine": DB, "cookie": ""},
        {"engine": JOSE, "secret": [7]},
        [DB, None],
    ],
)
def test_setting_of_another_form_is_an_error(settings: Any, value: Any) -> None:
    assert [code for code, _ in found(settings, MIGRATE_FROM=value)] == ["E001"]


@pytest.mark.parametrize("share", [-0.1, 1.1, "0.5", True, None])
def test_share_that_is_none_is_an_error(settings: Any, share: Any) -> None:
    wrong = found(settings, MIGRATE_FROM=DB, MIGRATE_SHARE=share)
    assert [code for code, _ in wrong] == ["E001"]


@pytest.mark.parametrize("path", ["nonsense.engine", "django.contrib.sessions", OURS])
def test_engine_that_is_none_or_ours_is_an_error(settings: Any, path: str) -> None:
    [(code, message)] = found(settings, MIGRATE_FROM=path)
    assert code == "E012"
    assert path.partition(".")[0] in message
    [(code, message)] = found(settings, MIGRATE_TO=path)
    assert code == "E013"
    assert path in message


def test_reader_of_cookies_is_nowhere_to_go_to(settings: Any) -> None:
    assert [code for code, _ in found(settings, MIGRATE_TO=JOSE)] == ["E013"]


def test_engine_without_its_app_is_an_error(settings: Any) -> None:
    path = "tests.helpers.without_app"
    wrong = found(settings, MIGRATE_FROM=path, MIGRATE_TO=path)
    assert [code for code, _ in wrong] == ["E012", "E013"]
    assert all("INSTALLED_APPS" in message for _, message in wrong)


def test_iron_session_without_the_name_of_its_cookie_is_an_error(settings: Any) -> None:
    [(code, message)] = found(settings, MIGRATE_FROM={"engine": IRON, "secret": "x" * 32})
    assert code == "E012"
    assert '"cookie"' in message


def test_move_to_an_engine_of_others_is_an_error(settings: Any) -> None:
    settings.SESSION_ENGINE = DB
    assert [code for code, _ in found(settings, MIGRATE_FROM=DB)] == ["E014"]
    assert found(settings, MIGRATE_FROM=DB, MIGRATE_TO=DB) == []  # gone back


def test_share_of_nothing_is_a_warning(settings: Any) -> None:
    assert [code for code, _ in found(settings, MIGRATE_SHARE=0.5)] == ["W028"]
    assert found(settings, MIGRATE_TO=DB, MIGRATE_SHARE=0.5) == []


@pytest.mark.parametrize("path", OLD)
def test_each_engine_of_before_is_fine(settings: Any, path: str) -> None:
    old_of(path)
    assert found(settings, MIGRATE_FROM=path, MIGRATE_SHARE=0.5) == []
    assert found(settings, MIGRATE_TO=path) == []


def test_secrets_are_in_no_repr(settings: Any) -> None:
    settings.JWTSESSION = {"MIGRATE_FROM": {"engine": JOSE, "secret": "a secret of another site"}}
    shown = repr(get_config()) + repr(get_config().old_engines) + repr(sources())
    assert "a secret" not in shown
