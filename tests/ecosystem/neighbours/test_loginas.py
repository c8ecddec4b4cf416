"""django-loginas: staff log in as a user and return."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.core import mail
from django.test import Client
from django.urls import include, path

from django_jwtsession.policy import Policy

from ..site import PAGES, happened, sign_in, user_of
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("admin/", include("loginas.urls")), path("admin/", admin.site.urls)]

pytestmark = pytest.mark.django_db(transaction=True)


def one_session(user: Any, request: Any) -> Policy:
    return Policy(limit=1, on_limit="refuse")


def take_over(browser: Client, user: Any) -> None:
    assert browser.post(f"/admin/login/user/{user.pk}/").status_code == 302


def test_staff_log_in_as_a_user_and_return(browser: Client, ada: Any, staff: Any) -> None:
    sign_in(browser, "grace", PASSWORD)
    take_over(browser, ada)
    assert user_of(browser) == "ada"
    assert ("takeover", "ada", "grace") in happened()
    assert ("login", "ada", None) not in happened("login")
    browser.post("/admin/logout/")
    assert user_of(browser) == "grace"


def test_user_gets_no_mail_and_keeps_the_own_session(
    browser: Client, ada: Any, staff: Any, settings: Any
) -> None:
    settings.JWTSESSION = {"NEW_DEVICE_EMAIL": True, "MAX_SESSIONS_PER_USER": 1}
    own = Client(HTTP_USER_AGENT="curl/8")
    sign_in(own, "ada", PASSWORD)
    sign_in(browser, "grace", PASSWORD)
    mail.outbox.clear()
    take_over(browser, ada)
    assert (user_of(browser), user_of(own)) == ("ada", "ada")
    assert not mail.outbox


def test_policy_that_refuses_a_second_login_lets_staff_in(
    browser: Client, ada: Any, staff: Any, settings: Any
) -> None:
    settings.JWTSESSION = {"POLICY": f"{__name__}.one_session"}
    own = Client()
    sign_in(own, "ada", PASSWORD)
    sign_in(browser, "grace", PASSWORD)
    take_over(browser, ada)
    assert (user_of(browser), user_of(own)) == ("ada", "ada")
