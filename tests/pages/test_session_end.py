"""The warning before a session ends: what its script asks, and what stands in the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings as site
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client

import django_jwtsession

from ..conftest import DAY

SCRIPT = Path(django_jwtsession.__file__).parent / "static/jwtsession/session.js"
NOW = 1893456000
pytestmark = pytest.mark.django_db


def asked(client: Client, query: str = "", **headers: str) -> int:
    """Return when the session ends, as the script is told."""
    exp: int = client.get(f"/session/{query}", headers=headers).json()["exp"]
    return exp


def test_click_extends_the_session_whenever_it_comes(engine: str, user: User) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        client = Client()
        client.force_login(user)
        clock.shift(60)
        assert asked(client) == NOW + site.SESSION_COOKIE_AGE
        assert asked(client, "?extend") == NOW + 60 + site.SESSION_COOKIE_AGE
        clock.shift(site.SESSION_COOKIE_AGE - 1)
        assert client.get("/session/").json()["authenticated"]


def test_script_that_asks_by_itself_extends_nothing(engine: str, user: User) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        client = Client()
        client.force_login(user)
        clock.shift(site.SESSION_COOKIE_AGE - 60)
        for query in ("", "?extend"):
            exp = asked(client, query, **{"X-Session-Passive": "1"})
            assert exp == NOW + site.SESSION_COOKIE_AGE
        clock.shift(61)
        assert not client.get("/session/").json()["authenticated"]


def test_nothing_extends_a_session_beyond_its_absolute_end(
    engine: str, user: User, settings: Any
) -> None:
    settings.JWTSESSION = {"ABSOLUTE_AGE": site.SESSION_COOKIE_AGE}
    with time_machine.travel(NOW, tick=False) as clock:
        client = Client()
        client.force_login(user)
        clock.shift(DAY)
        assert asked(client, "?extend") == NOW + site.SESSION_COOKIE_AGE


def test_script_is_small() -> None:
    assert len(SCRIPT.read_bytes()) <= 2048


def test_script_makes_no_html_and_runs_no_text() -> None:
    """So a strict Content-Security-Policy, with Trusted Types, is kept."""
    assert not re.search(
        r"innerHTML|insertAdjacent|eval|Function|\.style|https?:", SCRIPT.read_text()
    )


def test_template_has_no_inline_code_and_says_what_the_script_needs() -> None:
    tag = render_to_string("jwtsession/session_end.html", {"warn": 90, "login_url": "/in/?a=1&b"})
    [(attributes, body)] = re.findall(r"<script([^>]*)>(.*)</script>", tag, re.DOTALL)
    assert body == ""
    found = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
    assert found["src"].endswith("jwtsession/session.js")
    assert found["data-url"] == "/session/"
    assert found["data-warn"] == "90"
    assert found["data-login"] == "/in/?a=1&amp;b"
    assert "{time}" in found["data-text"]
    assert found["data-stay"]


def test_template_leaves_to_the_script_what_nobody_says() -> None:
    tag = render_to_string("jwtsession/session_end.html")
    assert "data-warn" not in tag
    assert "data-login" not in tag
