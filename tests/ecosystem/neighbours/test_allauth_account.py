"""allauth's account: sign-up, login, a new password, logout."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import include, path

from ..site import PAGES, happened, sid_of, user_of
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("accounts/", include("allauth.urls"))]


def test_sign_up_logs_in(browser: Client, db: None) -> None:
    form = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}
    assert browser.post("/accounts/signup/", form).status_code == 302
    assert user_of(browser) == "ada"
    assert happened("login") == [("login", "ada", None)]


def test_new_password_ends_the_other_browser_and_keeps_this_one(browser: Client, ada: Any) -> None:
    other = Client()
    for one in (browser, other):
        one.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    sid = sid_of(browser)
    form = {"oldpassword": PASSWORD, "password1": PASSWORD + "!", "password2": PASSWORD + "!"}
    assert browser.post("/accounts/password/change/", form).status_code == 302
    assert (user_of(browser), user_of(other)) == ("ada", "")
    assert sid_of(browser) == sid
    browser.post("/accounts/logout/")
    assert user_of(browser) == ""


def test_reauthentication_is_kept_in_the_session(browser: Client, ada: Any) -> None:
    browser.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    answer = browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert answer.status_code == 302
    assert user_of(browser) == "ada"
