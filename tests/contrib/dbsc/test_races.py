"""Logins, new epochs, rotation and ends between the steps of the protocol."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_jwtsession.contrib.dbsc import device_bound
from django_jwtsession.contrib.dbsc.models import Binding
from django_jwtsession.models import SessionEvent
from tests import urls as site_urls

from .browser import Browser, Key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("row_engine")]


@device_bound
def guarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse("guarded")


urlpatterns = [path("guarded/", guarded), *site_urls.urlpatterns]


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


@pytest.fixture(params=["proof", "strict"], autouse=True)
def mode(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.DBSC = {"MODE": request.param}


def with_the_cookies_of_now(browser: Browser) -> Browser:
    """Return the same browser, whose request is under way while its cookies change."""
    before = Browser(browser.copy())
    before.key, before.bound, before.challenge = browser.key, browser.bound, browser.challenge
    before.proof_until = browser.proof_until
    return before


# --- logins --------------------------------------------------------------------------------------


def test_binding_stays_in_a_new_epoch(browser: Browser, user: User) -> None:
    browser.bind(user)
    sid, challenge = browser.sid, browser.challenge
    browser.login(user)  # again: the sid stays
    assert browser.get("/guarded/").content == b"guarded"
    assert browser.answer(browser.key.jws({"jti": challenge})).status_code == 200
    assert browser.sid == sid


def test_browser_that_has_lost_its_key_binds_anew_after_a_login(
    browser: Browser, user: User, clock: Any
) -> None:
    browser.bind(user)
    clock.shift(700)
    browser.key, browser.bound = Key(), None
    browser.bind(user)
    assert browser.answer().status_code == 200
    assert Binding.objects.count() == 1


def test_refresh_by_the_key_before_is_no_theft(browser: Browser, user: User, clock: Any) -> None:
    browser.bind(user)
    old_key, old_challenge = browser.key, browser.challenge
    clock.shift(700)
    browser.key = Key()
    browser.bind(user)
    response = browser.answer(old_key.jws({"jti": old_challenge}))
    # With a challenge the old key would sign that, and this would be theft.
    assert (response.status_code, "Secure-Session-Challenge" in response.headers) == (503, False)
    assert browser.answer().status_code == 200


def test_login_with_the_key_at_hand_offers_nothing_and_keeps_it(
    browser: Browser, user: User, clock: Any
) -> None:
    browser.bind(user)
    clock.shift(500)
    assert "Secure-Session-Registration" not in browser.login(user).headers
    clock.shift(500)
    assert browser.refresh().status_code == 200
    assert browser.get("/guarded/").content == b"guarded"


def test_login_offers_a_binding_where_the_proof_is_fresh_and_the_key_is_gone(
    browser: Browser, user: User
) -> None:
    browser.bind(user)
    Binding.objects.all().delete()  # by a login in another tab, say
    assert "Secure-Session-Registration" in browser.login(user).headers
    assert browser.register().status_code == 200


def test_refresh_under_way_at_a_login_is_tried_again_and_is_no_error(
    browser: Browser, user: User, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    browser.bind(user)
    under_way = with_the_cookies_of_now(browser)
    browser.login(user)
    clock.shift(1)
    assert under_way.answer().status_code == 503
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert browser.answer().status_code == 200


def test_registration_under_way_at_a_login_binds_nothing(
    browser: Browser, user: User, clock: Any
) -> None:
    browser.login(user)
    first, offer = with_the_cookies_of_now(browser), browser.offer
    clock.shift(1)
    browser.login(user)
    first.offer = offer
    assert first.register().status_code in (401, 503)
    assert not Binding.objects.exists()
    assert browser.register().status_code == 200


# --- rotation and ends ---------------------------------------------------------------------------


def test_refresh_under_way_at_a_rotation_goes_on(browser: Browser, user: User, clock: Any) -> None:
    browser.bind(user)
    for _ in range(8):  # an hour and more
        clock.shift(601)
        under_way = with_the_cookies_of_now(browser)
        assert browser.get("/guarded/").content == b"guarded"
        assert under_way.ask().status_code == 403
    assert not SessionEvent.objects.filter(kind__in=["token_reuse", "binding_failed"]).exists()


def test_registration_after_the_logout_binds_nothing(browser: Browser, user: User) -> None:
    browser.login(user)
    late = with_the_cookies_of_now(browser)
    late.offer = browser.offer
    browser.client.post("/logout/", secure=True)
    assert late.register().status_code == 401
    assert browser.register().status_code == 401
    assert not Binding.objects.exists()


@pytest.mark.parametrize("what", ["erased", "password"])
def test_end_of_the_user_ends_the_binding(browser: Browser, user: User, what: str) -> None:
    browser.bind(user)
    if what == "erased":
        user.delete()
    else:
        user.set_password("another one")
        user.save()
    assert browser.refresh().status_code == 410
    assert browser.client.get("/", secure=True).content == b"anonymous"
