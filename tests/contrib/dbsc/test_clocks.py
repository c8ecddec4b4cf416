"""Two servers whose clocks are a minute apart: more than the leeway, in each direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User

from django_jwtsession.contrib.dbsc.models import Binding
from django_jwtsession.models import SessionEvent
from tests.helpers.process import another_process

from .browser import PROOF, Browser, Key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("row_engine", "strict")]

APART = 60


@pytest.fixture
def ahead(clock: Any) -> Callable[..., Any]:
    """A server whose clock is ahead of the one that answers otherwise."""

    @contextmanager
    def on_it(browser: Browser | None = None) -> Iterator[None]:
        """Ask it; a `browser` keeps the session cookie that it had before."""
        kept = "" if browser is None else browser.client.cookies["sessionid"].value
        clock.shift(APART)
        another_process()
        yield
        clock.shift(-APART)
        another_process()
        if browser is not None:
            browser.client.cookies["sessionid"] = kept

    return on_it


def no_alarm() -> bool:
    kinds = ["binding_failed", "token_reuse"]
    return not SessionEvent.objects.filter(kind__in=kinds).exists()


def test_challenge_of_a_server_that_is_ahead_is_good_on_the_other(
    browser: Browser, user: User, ahead: Any
) -> None:
    browser.bind(user)
    with ahead(browser):
        browser.ask()
    assert browser.answer().status_code == 200


def test_challenge_of_a_server_that_is_behind_is_good_on_the_other(
    browser: Browser, user: User, ahead: Any
) -> None:
    browser.bind(user)
    browser.ask()
    with ahead():
        assert browser.answer().status_code == 200


def test_server_behind_takes_its_own_challenge_after_a_proof_on_the_other(
    browser: Browser, user: User, ahead: Any
) -> None:
    browser.bind(user)
    with ahead(browser):
        browser.ask()
        assert browser.answer().status_code == 200
    browser.challenge = ""  # the page was loaded anew
    assert browser.refresh().status_code == 200
    assert browser.refreshes == 2  # one signature each


def test_challenge_that_is_older_than_the_proof_on_the_other_server_is_replaced_once(
    browser: Browser, user: User, ahead: Any
) -> None:
    browser.bind(user)
    kept = browser.challenge
    with ahead(browser):
        browser.ask()
        browser.answer()
    browser.challenge = kept
    assert browser.refresh().status_code == 200
    assert browser.refreshes == 3
    assert no_alarm()


def test_proofs_in_turn_on_both_take_one_signature_each(
    browser: Browser, user: User, ahead: Any, clock: Any
) -> None:
    browser.bind(user)
    for _ in range(3):
        with ahead(browser):
            assert browser.refresh().status_code == 200
        clock.shift(1)
        assert browser.refresh().status_code == 200
    assert browser.refreshes == 6


def test_proof_of_a_server_that_is_ahead_opens_the_session_on_the_other(
    browser: Browser, user: User, ahead: Any, clock: Any
) -> None:
    browser.bind(user)
    with ahead(browser):
        assert browser.refresh().status_code == 200
    clock.shift(12)  # what opens without a proof is over
    assert browser.client.get("/", secure=True).content == b"ada"
    del browser.client.cookies[PROOF]
    clock.shift(60)
    assert browser.client.get("/", secure=True).content == b"anonymous"


def test_session_cookie_of_a_server_that_is_ahead_ends_no_binding_on_the_other(
    browser: Browser, user: User, ahead: Any
) -> None:
    with ahead():
        browser.bind(user)
        challenge = browser.challenge
    assert browser.ask().status_code == 503
    assert browser.bound is not None
    with ahead():
        assert browser.answer(browser.key.jws({"jti": challenge})).status_code == 200


def test_registration_at_a_server_that_does_not_know_the_login_yet_is_tried_again(
    browser: Browser, user: User, ahead: Any
) -> None:
    with ahead():
        browser.login(user)
    assert browser.register().status_code == 503
    with ahead():
        assert browser.register().status_code == 200


def test_late_refresh_by_the_key_before_is_no_theft(
    browser: Browser, user: User, ahead: Any
) -> None:
    browser.bind(user)
    with ahead(browser):
        browser.ask()
    old_key, old_challenge = browser.key, browser.challenge
    del browser.client.cookies[PROOF]
    browser.key, browser.bound, browser.challenge = Key(), None, ""
    browser.bind(user)
    assert browser.answer(old_key.jws({"jti": old_challenge})).status_code == 503
    assert no_alarm()
    assert Binding.objects.exists()
    assert browser.refresh().status_code == 200
