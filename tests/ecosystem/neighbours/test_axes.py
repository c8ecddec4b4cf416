"""django-axes: locked out after wrong passwords."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt, AccessLog
from django.test import Client

from ..site import PAGES, happened, sign_in, user_of
from .conftest import PASSWORD

urlpatterns = PAGES
WRONG = {"username": "ada", "password": "wrong"}


def test_wrong_passwords_lock_out(browser: Client, ada: Any) -> None:
    answers = [browser.post("/login/", WRONG).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    assert browser.post("/login/", {**WRONG, "password": PASSWORD}).status_code == 429
    assert AccessAttempt.objects.get().failures_since_start >= 3
    assert [kind for kind, _, _ in happened("login_failed")]


def test_login_is_logged_with_its_session(browser: Client, ada: Any) -> None:
    browser.post("/login/", WRONG)
    sign_in(browser, "ada", PASSWORD)
    assert user_of(browser) == "ada"
    log = AccessLog.objects.get()
    assert log.username == "ada"
    assert log.session_hash
    browser.post("/logout/")
    log.refresh_from_db()
    assert log.logout_time
