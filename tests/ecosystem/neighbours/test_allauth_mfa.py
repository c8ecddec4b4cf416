"""allauth's mfa: a TOTP at the login."""

from __future__ import annotations

from typing import Any

from allauth.mfa.totp.internal import auth
from django.test import Client
from django.urls import include, path

from ..site import PAGES, user_of
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("accounts/", include("allauth.urls"))]


def code(secret: str) -> str:
    return auth.format_hotp_value(
        auth.hotp_value(secret, next(auth.yield_hotp_counters_from_time()))
    )


def test_totp_is_asked_for_at_the_login(browser: Client, ada: Any) -> None:
    secret = auth.generate_totp_secret()
    auth.TOTP.activate(ada, secret)
    answer: Any = browser.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    assert answer.url.startswith("/accounts/2fa/authenticate")
    assert user_of(browser) == ""
    assert browser.post(answer.url, {"code": "000000"}).status_code == 200
    assert browser.post(answer.url, {"code": code(secret)}).status_code == 302
    assert user_of(browser) == "ada"


def test_totp_is_set_up_with_a_secret_kept_in_the_session(browser: Client, ada: Any) -> None:
    browser.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page: Any = browser.get("/accounts/2fa/totp/activate/")
    assert page.status_code == 200, (page.status_code, page.get("Location"))
    secret = page.context["form"].secret
    assert browser.post("/accounts/2fa/totp/activate/", {"code": code(secret)}).status_code == 302
    assert user_of(browser) == "ada"
