"""django-cas-ng: login by a ticket, and single logout by the stored session_key."""

from __future__ import annotations

import pytest
from cas import CASClientV2, CASClientV3
from django.test import Client
from django.urls import path
from django_cas_ng.models import SessionTicket
from django_cas_ng.views import LoginView, LogoutView

from ..site import PAGES, user_of

urlpatterns = [
    *PAGES,
    path("cas/login", LoginView.as_view(), name="cas_ng_login"),
    path("cas/logout", LogoutView.as_view(), name="cas_ng_logout"),
]
OUT = (
    '<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="1" Version="2.0">'
    "<samlp:SessionIndex>ST-1</samlp:SessionIndex></samlp:LogoutRequest>"
)


@pytest.fixture(autouse=True)
def provider(monkeypatch: pytest.MonkeyPatch) -> None:
    for client in (CASClientV2, CASClientV3):
        monkeypatch.setattr(client, "verify_ticket", lambda *args: ("ada", {}, None))


def test_login_and_single_logout(browser: Client, db: None) -> None:
    assert browser.get("/cas/login", {"ticket": "ST-1"}).status_code == 302
    assert user_of(browser) == "ada"
    assert len(SessionTicket.objects.get().session_key) == 40
    # The provider, which has no cookie.
    Client().post("/cas/login", {"logoutRequest": OUT})
    assert user_of(browser) == ""
    assert not SessionTicket.objects.exists()


def test_logout(browser: Client, db: None) -> None:
    browser.get("/cas/login", {"ticket": "ST-1"})
    browser.get("/cas/logout")
    assert user_of(browser) == ""
    assert not SessionTicket.objects.exists()
