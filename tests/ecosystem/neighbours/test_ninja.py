"""django-ninja: django_auth as it is."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import path
from ninja import NinjaAPI
from ninja.security import django_auth

from django_jwtsession.revocation import revoke_session

from ..site import PAGES, sid_of, sign_in
from .conftest import PASSWORD

api = NinjaAPI(auth=django_auth)


@api.get("/things")
def things(request: Any) -> dict[str, str]:
    return {"user": request.auth.username}


@api.post("/things")
def write(request: Any, x: str) -> dict[str, str]:
    request.session["x"] = x
    return {"x": x}


urlpatterns = [*PAGES, path("api/", api.urls)]


def test_session_authenticates_until_it_ends(browser: Client, ada: Any) -> None:
    assert browser.get("/api/things").status_code == 401
    sign_in(browser, "ada", PASSWORD)
    assert browser.get("/api/things").json() == {"user": "ada"}
    revoke_session(sid_of(browser))
    assert browser.get("/api/things").status_code == 401


def test_unsafe_request_needs_the_csrf_token(ada: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    strict.get("/login/")
    assert strict.post("/api/things?x=1").status_code == 403
    token = strict.cookies["csrftoken"].value
    assert strict.post("/api/things?x=1", headers={"X-CSRFToken": token}).json() == {"x": "1"}
    assert strict.get("/who/").json()["x"] == "1"
