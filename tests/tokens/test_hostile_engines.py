"""The hostile tokens as cookies: an anonymous visitor, one record with the reason, no query."""

from __future__ import annotations

import json
from http.cookies import _quote  # type: ignore[attr-defined]
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client

from django_jwtsession.backends.refusals import refusals
from tests.conftest import ENGINES, Records, Visit, read

HOSTILE = json.loads((Path(__file__).parents[1] / "vectors" / "hostile.json").read_text())
TOKENS = HOSTILE["tokens"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def site_of_the_vectors(settings: Any) -> Any:
    settings.SESSION_COOKIE_NAME = HOSTILE["cookie_name"]
    with time_machine.travel(HOSTILE["now"], tick=False):
        yield


def configure(settings: Any, entry: dict[str, Any]) -> str:
    rules = {"KEYS": HOSTILE["keys"], "ALGORITHMS": HOSTILE["algorithms"]}
    wanted = rules | entry.get("settings", {})
    if getattr(settings, "JWTSESSION", None) != wanted:
        settings.JWTSESSION = wanted
    token: str = entry["token"] * entry.get("repeat", 1)
    return token


def in_groups(size: int) -> list[Any]:
    """Return the tokens, some in each test: 1600 tests of a few milliseconds say no more."""
    return [
        pytest.param(TOKENS[i : i + size], id=TOKENS[i]["name"][:30])
        for i in range(0, len(TOKENS), size)
    ]


@pytest.mark.parametrize("entries", in_groups(60))
def test_store_of_a_hostile_token_is_empty(
    entries: list[dict[str, Any]],
    engine: str,
    settings: Any,
    security_log: Records,
    caplog: pytest.LogCaptureFixture,
    django_assert_num_queries: Any,
) -> None:
    store = import_module(ENGINES[engine]).SessionStore
    for entry in entries:
        token = configure(settings, entry)
        caplog.clear()
        refusals.clear()  # it counts repeats
        with django_assert_num_queries(0):
            session = store(token)
            assert dict(session.items()) == {}, entry["name"]
            assert session.is_empty()
            assert session.get("_auth_user_id") is None
        assert [r.reason for r in security_log] == [entry["reason"]], entry["name"]
        assert session.session_key is None
        assert session.sid is None
        assert token[:64] not in caplog.text


@pytest.mark.parametrize("entries", in_groups(60))
def test_visitor_with_a_hostile_token_is_anonymous(
    entries: list[dict[str, Any]],
    engine: str,
    settings: Any,
    visit: Visit,
    security_log: Records,
    caplog: pytest.LogCaptureFixture,
    django_assert_num_queries: Any,
) -> None:
    for entry in entries:
        token = configure(settings, entry)
        visitor = Client()
        # What no header field can carry comes as something else, and is none the better for it.
        value = _quote(token.encode("latin-1", "replace").decode("latin-1"))
        caplog.clear()
        refusals.clear()  # it counts repeats
        with django_assert_num_queries(0):
            response = visit(read, by=visitor, HTTP_COOKIE=f"{HOSTILE['cookie_name']}={value}")
        assert (response.status_code, response.content) == (200, b"[]"), entry["name"]
        assert len(security_log) == 1, entry["name"]
        if token.isascii() and token.isprintable():
            assert [r.reason for r in security_log] == [entry["reason"]], entry["name"]
        no_token = next(iter(security_log)).reason in ("malformed", "too_long")
        dropped = [(m.key, m.value, m["max-age"]) for m in response.cookies.values()]
        expected = [(HOSTILE["cookie_name"], "", 0)] if no_token else []
        assert dropped == expected, entry["name"]
