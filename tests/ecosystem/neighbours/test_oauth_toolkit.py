"""django-oauth-toolkit: a code for who is logged in, and its token."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.test import Client
from django.urls import include, path
from oauth2_provider.models import get_application_model

from ..site import PAGES, sign_in
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]
BACK = "https://client.example/back"


def test_code_and_token(browser: Client, ada: Any) -> None:
    application = get_application_model().objects.create(
        name="Client",
        client_type="public",
        authorization_grant_type="authorization-code",
        redirect_uris=BACK,
        user=ada,
    )
    verifier = "v" * 50
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": application.client_id,
        "redirect_uri": BACK,
        "scope": "read",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    answer: Any = browser.get("/o/authorize/", query)
    assert answer.url.startswith("/login/?next=")
    sign_in(browser, "ada", PASSWORD)
    assert browser.get("/o/authorize/", query).status_code == 200
    answer = browser.post("/o/authorize/", {**query, "allow": "Authorize"})
    code = parse_qs(urlsplit(answer.url).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": application.client_id,
        "redirect_uri": BACK,
        "code_verifier": verifier,
    }
    assert "access_token" in Client().post("/o/token/", form).json()
