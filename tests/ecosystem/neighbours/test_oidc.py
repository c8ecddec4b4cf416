"""mozilla-django-oidc: state and nonce wait in the session."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import include, path
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from ..site import PAGES, happened, user_of

urlpatterns = [*PAGES, path("oidc/", include("mozilla_django_oidc.urls"))]


def test_login(browser: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    nonces: list[Any] = []

    def payload(self: Any, token: Any, **kwargs: Any) -> dict[str, str]:
        nonces.append(kwargs.get("nonce"))
        return {"sub": "1", "email": "ada@example.com"}

    backend = OIDCAuthenticationBackend
    tokens = {"id_token": "id", "access_token": "access"}
    monkeypatch.setattr(backend, "get_token", lambda self, payload: tokens)
    monkeypatch.setattr(backend, "verify_token", payload)
    userinfo = {"sub": "1", "email": "ada@example.com"}
    monkeypatch.setattr(backend, "get_userinfo", lambda *args: userinfo)
    answer: Any = browser.get("/oidc/authenticate/")
    asked = parse_qs(urlsplit(answer.url).query)
    wrong = browser.get("/oidc/callback/", {"code": "c", "state": "wrong"})
    assert wrong.status_code == 400
    answer = browser.get("/oidc/callback/", {"code": "c", "state": asked["state"][0]})
    assert answer.status_code == 302
    assert nonces == asked["nonce"]
    assert user_of(browser)
    assert len(happened("login")) == 1
    # A state counts once.
    again = browser.get("/oidc/callback/", {"code": "c", "state": asked["state"][0]})
    assert again.status_code == 400
    browser.post("/oidc/logout/")
    assert user_of(browser) == ""
