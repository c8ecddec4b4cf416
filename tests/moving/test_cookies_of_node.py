"""Cookies that Node has made log their users in, once.

tests/vectors/node_cookies.json was made by tests/interop/node/cookies.mjs with the real packages;
tests/interop makes them anew.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User

from django_jwtsession.contrib.migrate import ironsession, jose_hs256
from django_jwtsession.exceptions import BadToken
from django_jwtsession.models import Session, SessionEvent
from django_jwtsession.revocation import revoke_user_sessions

from ..helpers.visitor import Visitor

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "node_cookies.json").read_text())
COOKIES = VECTORS["cookies"]
SECRET = VECTORS["secret"]
_ROOM = "django_jwtsession.contrib.migrate"


def entry_of(vector: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the entry of MIGRATE_FROM that reads a cookie."""
    named = {name: vector[name] for name in ("cookie", "secret", "user_id") if name in vector}
    return {"engine": f"{_ROOM}.{vector['engine']}", "secret": SECRET} | named | more


def name_of(vector: dict[str, Any]) -> str:
    name: str = vector.get("cookie") or import_module(f"{_ROOM}.{vector['engine']}").COOKIES[-1]
    return name


def browser_with(vector: dict[str, Any], value: str | None = None, mode: str = "sync") -> Visitor:
    browser = Visitor(mode)
    browser.client.cookies[name_of(vector)] = vector["value"] if value is None else value
    return browser


@pytest.fixture(autouse=True)
def when(db: None) -> Iterator[Any]:
    with time_machine.travel(VECTORS["made_at"] + 60, tick=False) as clock:
        yield clock


@pytest.fixture
def seven(db: None) -> User:
    return User.objects.create_user("ada", pk=VECTORS["user"], password="correct horse")


@pytest.fixture(params=COOKIES, ids=lambda vector: vector["name"])
def vector(request: pytest.FixtureRequest, moving_in: Any) -> dict[str, Any]:
    """Each cookie, with a site that reads it."""
    found: dict[str, Any] = request.param
    moving_in(None, MIGRATE_FROM=entry_of(found))
    return found


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_cookie_logs_its_user_in_once(
    engine: str, vector: dict[str, Any], seven: User, mode: str
) -> None:
    browser = browser_with(vector, mode=mode)
    assert browser.who() == "ada"
    assert browser.cookie
    assert browser.who() == "ada"
    assert browser.do(lambda request: request.session.proved_at) is None
    assert browser.do(lambda request: request.session["_auth_user_backend"]) == (
        "django.contrib.auth.backends.ModelBackend"
    )
    browser.logout()
    assert browser.who() == ""
    assert browser_with(vector).who() == ""
    assert not Session.objects.exists()


def test_cookie_ends_with_its_own_end(
    engine: str, vector: dict[str, Any], seven: User, when: Any
) -> None:
    end = browser_with(vector).do(lambda request: request.session.expires_at)
    assert abs(end - VECTORS["made_at"] - VECTORS["seconds"]) <= 2
    when.shift(VECTORS["seconds"])
    assert browser_with(vector).who() == ""


def test_cookie_that_was_changed_logs_nobody_in(
    db_engine: None, vector: dict[str, Any], seven: User
) -> None:
    value = vector["value"]
    for place in range(0, len(value) - 2, 17):
        changed = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
        assert browser_with(vector, changed).who() == "", place
    for changed in (value[:-1], value[:40], value + "A" * 20000, "", "a.b.c", "é", "*" * 7):
        assert browser_with(vector, changed).who() == ""
    assert not Session.objects.exists()


def test_cookie_under_another_secret_logs_nobody_in(
    db_engine: None, vector: dict[str, Any], seven: User, moving_in: Any
) -> None:
    moving_in(None, MIGRATE_FROM=entry_of(vector, secret="x" * 40))
    assert browser_with(vector).who() == ""


def test_user_who_is_gone_inactive_or_of_no_id_is_not_logged_in(
    db_engine: None, vector: dict[str, Any], seven: User, moving_in: Any
) -> None:
    seven.is_active = False
    seven.save()
    assert browser_with(vector).who() == ""
    seven.delete()
    assert browser_with(vector).who() == ""
    moving_in(None, MIGRATE_FROM=entry_of(vector, user_id="nothing.of.this"))
    assert browser_with(vector).who() == ""


def test_end_of_all_sessions_ends_what_was_issued_before(
    db_engine: None, vector: dict[str, Any], seven: User
) -> None:
    revoke_user_sessions(seven)
    assert browser_with(vector).who() == ""


def test_nobody_is_said_to_have_logged_in(
    db_engine: None, vector: dict[str, Any], seven: User
) -> None:
    assert browser_with(vector).who() == "ada"
    assert not SessionEvent.objects.exists()


def test_secrets_of_this_site_are_the_default(db_engine: None, moving_in: Any, seven: User) -> None:
    moving_in(None, MIGRATE_FROM=f"{_ROOM}.jose_hs256", KEYS=[SECRET])
    assert browser_with(COOKIES[0]).who() == "ada"


def test_cookie_in_pieces_is_read(db_engine: None, moving_in: Any, seven: User) -> None:
    [vector] = [one for one in COOKIES if one["name"] == "Auth.js"]
    moving_in(None, MIGRATE_FROM=entry_of(vector))
    browser, value = Visitor(), vector["value"]
    for number, start in enumerate(range(0, len(value), 100)):
        browser.client.cookies[f"{name_of(vector)}.{number}"] = value[start : start + 100]
    assert browser.who() == "ada"


# --- what the article's cookie may say of itself --------------------------------------------------


def signed(claims: dict[str, Any], alg: Any = "HS256", **header: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    text = f"{part({'alg': alg} | header)}.{part(claims)}"
    mac = jose_hs256._mac(SECRET, text.encode())
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


END = VECTORS["made_at"] + 1000


@pytest.mark.parametrize(
    "token",
    [
        signed({"userId": 7, "exp": END}, alg="none"),
        signed({"userId": 7, "exp": END}, alg="HS512"),
        signed({"userId": 7, "exp": END}, crit=["exp"]),
        signed({"userId": 7}),
        signed({"userId": 7, "exp": END - 5000}),
        signed({"userId": 7, "exp": str(END)}),
        signed({"userId": 7, "exp": END, "expiresAt": "2020-01-01T00:00:00.000Z"}),
        signed({"userId": True, "exp": END}),
        signed({"userId": {"id": 7}, "exp": END}),
        signed({"userId": None, "exp": END}),
        signed({"userId": "7' OR 1=1", "exp": END}),
        signed({"userId": 10**40, "exp": END}),
    ],
)
def test_token_that_is_not_good_logs_nobody_in(
    db_engine: None, moving_in: Any, seven: User, token: str
) -> None:
    moving_in(None, MIGRATE_FROM=entry_of(COOKIES[0]))
    assert browser_with(COOKIES[0], token).who() == ""


@pytest.mark.parametrize(
    "claims",
    [
        {"userId": "7", "exp": END},
        {"userId": 7, "expiresAt": "2099-01-01T00:00:00.000Z"},
        {"userId": 7, "expiresAt": END * 1000},
    ],
)
def test_token_of_another_good_form_logs_in(
    db_engine: None, moving_in: Any, seven: User, claims: dict[str, Any]
) -> None:
    moving_in(None, MIGRATE_FROM=entry_of(COOKIES[0]))
    assert browser_with(COOKIES[0], signed(claims)).who() == "ada"


@pytest.mark.parametrize("marker", ["", "~", "~1", "~2~2", "~02"])
def test_marker_that_no_mac_covers_makes_no_other_cookie_of_a_seal(marker: str) -> None:
    """Or a copy with another marker would come in after the logout."""
    [vector] = [one for one in COOKIES if one["name"] == "iron-session"]
    seal = vector["value"].removesuffix("~2")
    assert ironsession.read(f"{seal}~2", "app", [SECRET]).claims == {"userId": 7}
    with pytest.raises(BadToken):
        ironsession.read(seal + marker, "app", [SECRET])
