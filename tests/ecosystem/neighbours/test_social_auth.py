"""social-auth: state waits in the session, the login follows."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import include, path
from social_core.backends.github import GithubOAuth2

from ..site import PAGES, happened, user_of

urlpatterns = [*PAGES, path("", include("social_django.urls", namespace="social"))]


def test_login(browser: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        GithubOAuth2, "request_access_token", lambda *args, **kwargs: {"access_token": "token"}
    )
    person = {"id": 7, "login": "ada", "email": "ada@example.com", "name": "Ada Lovelace"}
    monkeypatch.setattr(GithubOAuth2, "user_data", lambda *args, **kwargs: person)
    answer: Any = browser.get("/login/github/?next=/who/")
    if answer.status_code != 302:
        answer = browser.post("/login/github/?next=/who/")
    state = parse_qs(urlsplit(answer.url).query)["state"][0]
    answer = browser.get("/complete/github/", {"code": "c", "state": state})
    assert answer.url == "/who/"
    assert user_of(browser) == "ada"
    assert happened("login") == [("login", "ada", None)]
