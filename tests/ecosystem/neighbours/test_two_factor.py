"""django-two-factor-auth: the login wizard."""

from __future__ import annotations

from binascii import unhexlify
from typing import Any

from django.test import Client
from django.urls import include, path
from django_otp.oath import totp
from django_otp.util import random_hex
from two_factor.urls import urlpatterns as two_factor_urls

from ..site import PAGES, happened, user_of
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("", include(two_factor_urls))]
LOGIN = "/account/login/"


def code(key: str) -> str:
    """Return what the device shows: six digits, zeros before it included."""
    return f"{totp(unhexlify(key)):06d}"


def step(name: str, **values: Any) -> dict[str, Any]:
    form = {f"{name}-{key}": value for key, value in values.items()}
    return {"login_view-current_step": name, **form}


def test_login_asks_for_the_token(browser: Client, ada: Any) -> None:
    key = random_hex()
    ada.totpdevice_set.create(name="default", key=key)
    browser.get(LOGIN)
    answer = browser.post(LOGIN, step("auth", username="ada", password=PASSWORD))
    assert b"token-otp_token" in answer.content
    assert user_of(browser) == ""
    answer = browser.post(LOGIN, step("token", otp_token=code(key)))
    assert answer.status_code == 302, answer.content
    assert user_of(browser) == "ada"
    assert happened("login") == [("login", "ada", None)]


def test_set_up_keeps_its_key_in_the_session(browser: Client, ada: Any) -> None:
    browser.get(LOGIN)
    browser.post(LOGIN, step("auth", username="ada", password=PASSWORD))
    assert user_of(browser) == "ada"
    setup = "/account/two_factor/setup/"
    browser.get(setup)
    page: Any = browser.post(setup, {"setup_view-current_step": "welcome"})
    key = page.context["form"].key if hasattr(page.context["form"], "key") else None
    if key is None:
        page = browser.post(
            setup, {"setup_view-current_step": "method", "method-method": "generator"}
        )
        key = page.context["form"].key
    done = browser.post(
        setup,
        {"setup_view-current_step": "generator", "generator-token": code(key)},
    )
    assert done.status_code == 302, done.content
    assert ada.totpdevice_set.count() == 1
