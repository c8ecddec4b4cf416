"""django-rest-framework: SessionAuthentication as it is."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import Client
from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView

from django_jwtsession.revocation import revoke_session
from tests.conftest import ENGINES

from ..site import PAGES, sid_of, sign_in
from .conftest import PASSWORD


class Things(APIView):
    def get(self, request: Any) -> Response:
        return Response({"user": request.user.username})

    def post(self, request: Any) -> Response:
        request.session["x"] = request.data["x"]
        return Response({"x": request.session["x"]})


urlpatterns = [
    *PAGES,
    path("api/", Things.as_view()),
    path("auth/", include("rest_framework.urls")),
    path("session/", include("django_jwtsession.urls")),
]


def test_session_authenticates_until_it_ends(browser: Client, ada: Any) -> None:
    assert browser.get("/api/").status_code == 403
    sign_in(browser, "ada", PASSWORD)
    assert browser.get("/api/").json() == {"user": "ada"}
    revoke_session(sid_of(browser))
    assert browser.get("/api/").status_code == 403


def test_unsafe_request_needs_the_csrf_token(ada: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    strict.get("/login/")  # sets the token
    assert strict.post("/api/", {"x": "1"}).status_code == 403
    token = strict.cookies["csrftoken"].value
    answer = strict.post("/api/", {"x": "1"}, headers={"X-CSRFToken": token})
    assert answer.json() == {"x": "1"}
    assert strict.get("/who/").json()["x"] == "1"


def test_login_of_the_browsable_api(browser: Client, ada: Any) -> None:
    browser.post("/auth/login/", {"username": "ada", "password": PASSWORD, "next": "/api/"})
    assert browser.get("/api/", headers={"Accept": "text/html"}).status_code == 200
    browser.post("/auth/logout/", {"next": "/who/"})
    assert browser.get("/api/").status_code == 403


def test_own_sessions_as_json(browser: Client, ada: Any) -> None:
    other = Client()
    sign_in(browser, "ada", PASSWORD)
    sign_in(other, "ada", PASSWORD)
    listed = browser.get("/session/session/sessions/").json()["sessions"]
    assert {one["sid"] for one in listed} == {sid_of(browser), sid_of(other)}
    assert browser.delete(f"/session/session/sessions/{sid_of(other)}/").status_code == 204
    assert other.get("/api/").status_code == 403
    assert browser.get("/api/").status_code == 200


def test_too_large_for_a_cookie_is_an_error_with_its_name_in_the_log(
    ada: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SESSION_ENGINE = ENGINES["cookie"]
    client = Client(raise_request_exception=False)
    client.force_login(ada)
    with caplog.at_level(logging.ERROR, "django.request"):
        assert client.post("/api/", {"x": "x" * 5000}).status_code == 500
    assert "SessionTooLarge" in caplog.text
