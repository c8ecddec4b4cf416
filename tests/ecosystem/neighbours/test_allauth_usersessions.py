"""allauth's usersessions: list one's sessions, end one."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import include, path

from ..site import PAGES, user_of
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("accounts/", include("allauth.urls"))]


def test_sessions_are_listed_and_end_one_by_one(browser: Client, ada: Any) -> None:
    other = Client()
    for one in (browser, other):
        one.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    assert browser.get("/accounts/sessions/").content.count(b"127.0.0.1") == 2
    newest = UserSession.objects.latest("pk")
    assert newest.exists()
    newest.end()
    assert (user_of(browser), user_of(other)) == ("ada", "")
    UserSession.objects.purge_and_list(ada)
    assert UserSession.objects.count() == 1


def test_key_is_that_of_the_browsers_session(browser: Client, ada: Any) -> None:
    browser.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    for _ in range(3):
        assert user_of(browser) == "ada"
    listed = UserSession.objects.purge_and_list(ada)
    assert len(listed) == 1
    browser.post("/accounts/sessions/")  # ends all others: none
    assert user_of(browser) == "ada"
