"""djangosaml2: the request that is under way is kept in a session of its own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.test import Client
from django.urls import include, path

from tests.conftest import ENGINES

from ..site import PAGES

urlpatterns = [*PAGES, path("saml2/", include("djangosaml2.urls"))]


def test_request_to_the_provider_is_kept(browser: Client, db: None, engine: str) -> None:
    answer: Any = browser.get("/saml2/login/?next=/who/")
    assert answer.status_code in (200, 302), answer.content
    key = browser.cookies["saml_session"].value
    store = import_module(ENGINES[engine]).SessionStore
    assert len(store(key)["_saml2_outstanding_queries"]) == 1
    browser.get("/saml2/login/?next=/who/")
    key = browser.cookies["saml_session"].value
    assert len(store(key)["_saml2_outstanding_queries"]) == 2
    assert "sessionid" not in browser.cookies
