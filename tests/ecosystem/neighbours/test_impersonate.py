"""django-impersonate: staff work as a user in their own session."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import include, path

from ..site import PAGES, happened, sign_in, user_of
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("impersonate/", include("impersonate.urls"))]

pytestmark = pytest.mark.django_db(transaction=True)


def test_staff_impersonate_and_stop(browser: Client, ada: Any, staff: Any, settings: Any) -> None:
    settings.JWTSESSION = {"NEW_DEVICE_EMAIL": True, "MAX_SESSIONS_PER_USER": 1}
    own = Client(HTTP_USER_AGENT="curl/8")
    sign_in(own, "ada", PASSWORD)
    sign_in(browser, "grace", PASSWORD)
    mail.outbox.clear()
    assert browser.get(f"/impersonate/{ada.pk}/").status_code == 302
    assert (user_of(browser), user_of(own)) == ("ada", "ada")
    assert ("takeover", "ada", "grace") in happened()
    assert not mail.outbox
    browser.get("/impersonate/stop/")
    assert user_of(browser) == "grace"
