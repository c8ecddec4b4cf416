"""The JWTSESSION setting: each key checked, each message says what to write."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_jwtsession.conf import (
    RULES,
    Config,
    age_problems,
    get_config,
    problems,
    short_keys,
    unusable_keys,
)
from django_jwtsession.tokens.codec import Codec

WRONG: dict[str, list[Any]] = {
    "ALGORITHMS": ["A256GCM", [], ["none"], ["HS512"], [None], [["HS256"]], None, {"HS256"}],
    "KEYS": ["one-secret", [], [""], [b""], [7], None, {"a"}],
    "ISSUER": ["", 7, []],
    "AUDIENCE": ["", 7, ["web"]],
    "LEEWAY": [-1, "15", None, True, float("nan"), float("inf")],
    "ABSOLUTE_AGE": [0, -1, timedelta(0), timedelta(days=-1), "90 days", None, True],
    "LAST_SEEN_EVERY": [-1, "300", None, False],
    "COMPRESS": [1, 0, None, "yes"],
    "TRUSTED_PROXY_COUNT": [-1, 1.0, True, "1", None],
    "STORE_IP": [1, 0, None, "yes", "Prefix"],
    "CLEAR_AT_LOGIN": [-1, 1.5, True, None, "100"],
    "MAX_COOKIE_SIZE": [1023, 4097, 3072.0, True, None, "3072"],
    "NEW_DEVICE_EMAIL": [1, 0, None, "ada@example.com"],
    "TOKEN_REUSE_EMAIL": [1, 0, None, "yes"],
    "LOCATION": ["", len, True],
    "POLICY": ["", len, 7, "policy", "site policy.ask"],
}
RIGHT: dict[str, list[Any]] = {
    "ALGORITHMS": [["A256GCM"], ("HS256", "A256GCM")],
    "KEYS": [["s" * 32], [b"s" * 32], ("s" * 32, "t" * 32), [Path("key.pem")]],
    "ISSUER": [None, "https://example.com"],
    "AUDIENCE": [None, "web"],
    "LEEWAY": [0, 15, 1.5, timedelta(seconds=10)],
    "ABSOLUTE_AGE": [1, timedelta(days=90)],
    "LAST_SEEN_EVERY": [0, 300, timedelta(minutes=5)],
    "COMPRESS": [True, False],
    "TRUSTED_PROXY_COUNT": [0, 2],
    "STORE_IP": [True, False, "prefix"],
    "CLEAR_AT_LOGIN": [0, 100],
    "MAX_COOKIE_SIZE": [1024, 3072, 4096],
    "NEW_DEVICE_EMAIL": [True, False],
    "TOKEN_REUSE_EMAIL": [True, False],
    "LOCATION": ["site.places.words", None],
    "POLICY": ["site.logins.policy", None],
}


def pairs(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(key, value, id=f"{key}={value!r}") for key in table for value in table[key]
    ]


@pytest.mark.parametrize(("key", "value"), pairs(WRONG))
def test_wrong_value_is_named_with_what_to_write(key: str, value: Any) -> None:
    [message] = problems({key: value})
    assert message == f'JWTSESSION["{key}"] must be {RULES[key].write}.'


@pytest.mark.parametrize(("key", "value"), pairs(RIGHT))
def test_right_value_is_taken(key: str, value: Any) -> None:
    assert problems({key: value}) == []


def test_message_holds_no_value() -> None:
    """A secret that was written in the wrong place is not shown."""
    secret = "a secret of some length"
    for key in RULES:
        for message in problems({key: secret}):
            assert secret not in message


@pytest.mark.parametrize("value", [None, [], "x", 7])
def test_setting_that_is_no_dict_is_named(value: Any) -> None:
    [message] = problems(value)
    assert "must be a dict" in message


@pytest.mark.parametrize(
    ("key", "near"),
    [("KEY", "KEYS"), ("Algorithms", "ALGORITHMS"), ("absolute_ages", "ABSOLUTE_AGE")],
)
def test_mistyped_key_is_named_with_the_nearest(key: str, near: str) -> None:
    [message] = problems({key: 1})
    assert repr(key) in message
    assert repr(near) in message


@pytest.mark.parametrize("key", ["something", 7, None, ("a",)])
def test_key_that_is_like_none_is_named_with_all(key: Any) -> None:
    [message] = problems({key: 1})
    assert repr(key) in message
    assert "ALGORITHMS" in message


def test_empty_dict_is_a_good_configuration(settings: Any) -> None:
    settings.JWTSESSION = {}
    assert get_config() == Config()
    assert isinstance(get_config().codec, Codec)
    assert short_keys(get_config()) + unusable_keys(get_config()) == []


@pytest.mark.requirement("RFC 8725 3.6")
def test_defaults_are_the_documented() -> None:
    config = Config()
    assert tuple(config.algorithms) == ("A256GCM",)
    assert (config.leeway, config.absolute_age, config.last_seen_every) == (15, 90 * 86400, 300)
    assert (config.clear_at_login, config.compress, config.store_ip) == (100, False, True)
    assert (config.new_device_email, config.token_reuse_email) == (False, False)


def test_durations_are_seconds(settings: Any) -> None:
    settings.JWTSESSION = {"ABSOLUTE_AGE": timedelta(days=1), "LEEWAY": timedelta(seconds=5)}
    assert (get_config().absolute_age, get_config().leeway) == (86400, 5)


def test_configuration_is_built_once_and_again_after_a_change(settings: Any) -> None:
    settings.JWTSESSION = {"LEEWAY": 5}
    first = get_config()
    assert get_config() is first
    settings.JWTSESSION = {"LEEWAY": 6}
    assert get_config().leeway == 6


def test_wrong_configuration_is_said_at_first_use(settings: Any) -> None:
    settings.JWTSESSION = {"LEEWAYS": 5}
    with pytest.raises(ImproperlyConfigured, match="'LEEWAY'"):
        get_config()


@pytest.mark.parametrize("secret", ["short", b"short", "é" * 15])
def test_short_secret_is_a_problem_that_shows_nothing_of_it(settings: Any, secret: Any) -> None:
    settings.JWTSESSION = {"KEYS": ["s" * 32, secret]}
    [message] = short_keys(get_config())
    assert message == 'Key 2 of JWTSESSION["KEYS"] is under 32 bytes.'
    assert str(secret) not in message
    assert isinstance(get_config().codec, Codec)


def test_short_secret_key_is_named_as_django_s(settings: Any) -> None:
    settings.SECRET_KEY = "short"
    [message] = short_keys(get_config())
    assert "Key 1 of SECRET_KEY and SECRET_KEY_FALLBACKS" in message


@pytest.mark.parametrize(
    "keys",
    [
        ["-----BEGIN PRIVATE KEY-----\nbm9wZQ==\n-----END PRIVATE KEY-----"],
        ["/nowhere/to/be/found.pem"],
        [Path("/nowhere/to/be/found")],
    ],
    ids=["broken", "missing file", "missing path"],
)
def test_unusable_pem_is_a_problem_that_shows_nothing_of_it(settings: Any, keys: Any) -> None:
    settings.JWTSESSION = {"KEYS": keys, "ALGORITHMS": ["ES256"]}
    [message] = unusable_keys(get_config())
    assert message.startswith('JWTSESSION["KEYS"]')
    assert "bm9wZQ" not in message
    with pytest.raises(ImproperlyConfigured):
        get_config().codec  # noqa: B018


def test_algorithm_without_a_key_of_its_kind_is_a_problem(settings: Any) -> None:
    settings.JWTSESSION = {"ALGORITHMS": ["EdDSA"], "KEYS": ["s" * 32]}
    [message] = unusable_keys(get_config())
    assert "EdDSA" in message


def test_keys_replace_django_s_secret_key(settings: Any) -> None:
    settings.JWTSESSION = {"KEYS": ["s" * 32]}
    assert list(get_config().key_sources) == ["s" * 32]
    settings.JWTSESSION = {}
    settings.SECRET_KEY_FALLBACKS = ["t" * 32]
    assert list(get_config().key_sources) == [settings.SECRET_KEY, "t" * 32]


@pytest.mark.parametrize("age", [604800, 604800.0, timedelta(days=7).total_seconds(), 6])
def test_age_in_seconds_is_taken(settings: Any, age: Any) -> None:
    settings.SESSION_COOKIE_AGE = age
    assert age_problems() == []


@pytest.mark.parametrize(
    ("age", "write"),
    [
        ("604800", 'int("604800")'),
        ("a week", "int(..)"),
        (timedelta(days=7), "timedelta(..).total_seconds()"),
        (None, "a number"),
        (True, "a number"),
        (-1, "a number"),
        (float("inf"), "a number"),
    ],
)
def test_age_of_another_kind_is_an_error_and_no_traceback(
    settings: Any, age: Any, write: str
) -> None:
    settings.SESSION_COOKIE_AGE = age
    [message] = age_problems()
    assert f"Write SESSION_COOKIE_AGE = {write}" in message
    with pytest.raises(ImproperlyConfigured, match="SESSION_COOKIE_AGE"):
        get_config()
