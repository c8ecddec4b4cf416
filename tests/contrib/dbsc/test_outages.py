"""What happens where the keys are out of reach, or their table is not there yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from django_jwtsession.backends import answer
from django_jwtsession.contrib.dbsc.models import Binding
from django_jwtsession.models import Session

from .browser import PROOF, Browser

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("row_engine")]


@pytest.fixture(params=["proof", "strict"], autouse=True)
def mode(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.DBSC = {"MODE": request.param}


@pytest.fixture
def out_of_reach() -> Iterator[None]:
    with mock.patch.object(Binding, "objects") as objects:
        objects.filter.side_effect = OperationalError("no such table: dbsc_binding")
        yield


def test_login_goes_on_and_offers_nothing(
    browser: Browser,
    user: User,
    out_of_reach: None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answer, "_told_of_failure_at", float("-inf"))  # once a minute
    response = browser.login(user)
    assert "Secure-Session-Registration" not in response.headers
    assert response.cookies["sessionid"].value
    assert "no such table" in caplog.text


def test_logout_ends_the_session(
    browser: Browser, user: User, request: pytest.FixtureRequest
) -> None:
    browser.bind(user)
    request.getfixturevalue("out_of_reach")
    response = browser.client.post("/logout/", secure=True)
    assert response.status_code == 302
    assert (response.cookies["sessionid"].value, response.cookies[PROOF].value) == ("", "")
    assert not Session.objects.exists()
