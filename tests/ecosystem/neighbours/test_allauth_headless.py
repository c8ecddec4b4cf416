"""allauth's headless API: the browser with its cookie, the app with its token."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import include, path

from django_jwtsession.models import Session
from django_jwtsession.revocation import revoke_user_sessions

from ..site import PAGES, user_of
from .conftest import PASSWORD

urlpatterns = [
    *PAGES,
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
]
LOGIN = {"username": "ada", "password": PASSWORD}


def post(client: Client, path: str, data: Any, **headers: str) -> Any:
    return client.post(path, data, content_type="application/json", headers=headers)


def test_browser_logs_in_by_its_cookie(browser: Client, ada: Any) -> None:
    answer = post(browser, "/_allauth/browser/v1/auth/login", LOGIN)
    assert answer.status_code == 200, answer.content
    assert user_of(browser) == "ada"
    assert browser.delete("/_allauth/browser/v1/auth/session").status_code == 401
    assert user_of(browser) == ""


def test_app_logs_in_by_its_token_and_other_processes_know_it(ada: Any) -> None:
    answer = post(Client(), "/_allauth/app/v1/auth/login", LOGIN)
    token = answer.json()["meta"]["session_token"]
    status = Client().get("/_allauth/app/v1/auth/session", headers={"X-Session-Token": token})
    assert status.json()["data"]["user"]["username"] == "ada"
    assert Session.objects.count() == 1
    revoke_user_sessions(ada)
    gone = Client().get("/_allauth/app/v1/auth/session", headers={"X-Session-Token": token})
    assert gone.status_code in (401, 410)


def test_app_changes_its_password_and_goes_on(ada: Any) -> None:
    answer = post(Client(), "/_allauth/app/v1/auth/login", LOGIN)
    token = answer.json()["meta"]["session_token"]
    form = {"current_password": PASSWORD, "new_password": PASSWORD + "!"}
    path_ = "/_allauth/app/v1/account/password/change"
    changed = post(Client(), path_, form, **{"X-Session-Token": token})
    assert changed.status_code == 200, changed.content
    token = changed.json()["meta"].get("session_token", token)
    status = Client().get("/_allauth/app/v1/auth/session", headers={"X-Session-Token": token})
    assert status.json()["meta"]["is_authenticated"], (changed.json(), status.json())


def test_app_logs_out(ada: Any) -> None:
    token = post(Client(), "/_allauth/app/v1/auth/login", LOGIN).json()["meta"]["session_token"]
    by = {"X-Session-Token": token}
    assert Client().delete("/_allauth/app/v1/auth/session", headers=by).status_code == 401
    assert Client().get("/_allauth/app/v1/auth/session", headers=by).status_code in (401, 410)
    assert not Session.objects.filter(user=ada).exists()


def test_app_lists_and_ends_its_users_sessions(ada: Any) -> None:
    tokens = [
        post(Client(), "/_allauth/app/v1/auth/login", LOGIN).json()["meta"]["session_token"]
        for _ in range(2)
    ]
    by = {"X-Session-Token": tokens[0]}
    listed = Client().get("/_allauth/app/v1/auth/sessions", headers=by).json()["data"]
    assert [one["is_current"] for one in listed].count(True) == 1
    other = next(one["id"] for one in listed if not one["is_current"])
    answer = Client().delete(
        "/_allauth/app/v1/auth/sessions",
        {"sessions": [other]},
        content_type="application/json",
        headers=by,
    )
    assert answer.status_code == 200
    gone = Client().get("/_allauth/app/v1/auth/session", headers={"X-Session-Token": tokens[1]})
    assert gone.status_code in (401, 410)
