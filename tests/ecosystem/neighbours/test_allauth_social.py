"""allauth's socialaccount: a sign-up of 6 KB that waits in the session."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.test import Client
from django.urls import include, path

from ..site import PAGES, user_of

urlpatterns = [*PAGES, path("accounts/", include("allauth.urls"))]


def test_large_sign_up_waits_in_the_session(browser: Client, db: None) -> None:
    answer: Any = browser.post("/accounts/dummy/login/")
    state = parse_qs(urlsplit(answer.url).query)["state"][0]
    form = {"id": 7, "first_name": "A" * 6000, "username": "ada"}
    answer = browser.post(f"/accounts/dummy/authenticate/?state={state}", form)
    assert answer.url.startswith("/accounts/3rdparty/signup"), answer.url
    assert len(browser.cookies["sessionid"].value) < 4000
    assert browser.get("/accounts/3rdparty/signup/").status_code == 200
    form = {"username": "ada", "email": "ada@example.com"}
    answer = browser.post("/accounts/3rdparty/signup/", form)
    assert answer.status_code == 302, answer.context["form"].errors
    assert user_of(browser) == "ada"
