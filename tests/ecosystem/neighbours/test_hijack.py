"""django-hijack: staff take over a user and come back."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import include, path

from django_jwtsession.models import Session
from django_jwtsession.policy import Policy

from ..site import PAGES, happened, sign_in, user_of
from .conftest import PASSWORD

urlpatterns = [*PAGES, path("hijack/", include("hijack.urls"))]

pytestmark = pytest.mark.django_db(transaction=True)


def one_session(user: Any, request: Any) -> Policy:
    """A site's policy: one session for each user, and no second login."""
    return Policy(limit=1, on_limit="refuse")


def take_over(browser: Client, user: Any) -> None:
    answer = browser.post("/hijack/acquire/", {"user_pk": user.pk, "next": "/who/"})
    assert answer.status_code == 302


def test_staff_take_over_and_come_back(browser: Client, ada: Any, staff: Any) -> None:
    sign_in(browser, "grace", PASSWORD)
    take_over(browser, ada)
    assert user_of(browser) == "ada"
    assert ("takeover", "ada", "grace") in happened()
    assert ("login", "ada", None) not in happened("login")
    browser.post("/hijack/release/", {"next": "/who/"})
    assert user_of(browser) == "grace"


def test_user_gets_no_mail_and_keeps_the_own_session(
    browser: Client, ada: Any, staff: Any, settings: Any
) -> None:
    settings.JWTSESSION = {"NEW_DEVICE_EMAIL": True, "MAX_SESSIONS_PER_USER": 1}
    own = Client(HTTP_USER_AGENT="curl/8")
    sign_in(own, "ada", PASSWORD)
    mail.outbox.clear()
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
    assert Session.objects.filter(user=ada).count() == 2
    # For the user it holds.
    answer = Client().post("/login/", {"username": "ada", "password": PASSWORD})
    assert answer.status_code == 403
