"""django-session-security: the logout of who does nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import time_machine
from django.test import Client
from django.urls import include, path
from django.utils import timezone

from ..site import PAGES, sign_in, user_of
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("session_security/", include("session_security.urls"))]


def test_who_does_nothing_is_logged_out(browser: Client, ada: Any) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        sign_in(browser, "ada", PASSWORD)
        assert user_of(browser) == "ada"
        clock.shift(timedelta(minutes=8))
        assert user_of(browser) == "ada"
        clock.shift(timedelta(minutes=8))
        assert browser.get("/session_security/ping/?idleFor=480").content != b'"logout"'
        clock.shift(timedelta(minutes=11))
        assert user_of(browser) == ""
