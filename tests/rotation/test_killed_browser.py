"""A browser that is killed comes back with the cookie file it wrote last: up to 30 s older."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from django_jwtsession.models import SessionEvent

from ..helpers.visitor import Visitor

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls_engines")]
HOUR = 3600
WRITES_EVERY = 30  # seconds: Chromium's cookie file


@pytest.mark.parametrize("away", [60, 900, 2 * HOUR], ids="back after {}".format)
@pytest.mark.parametrize("killed", [5, 15, 30, 45, 60, 75, 90, 120], ids="killed at {}".format)
def test_killed_browser_is_no_thief(user: User, clock: Any, killed: int, away: int) -> None:
    """`killed` s after it first got a new generation; its file is as old as it can be.

    Its pages write, so that the row is read, and the rotation confirmed, as early as may be.
    """
    browser = Visitor()
    browser.login(user)
    clock.shift(HOUR + 1)
    held = []
    for _ in range(killed // 5 + 1):
        held.append(browser.cookie)
        browser.put(visits=len(held))
        clock.shift(5)
    file = held[max(0, len(held) - 1 - WRITES_EVERY // 5)]
    clock.shift(away)
    again = Visitor(cookie=file)
    assert again.who() == "ada"
    assert not SessionEvent.objects.filter(kind="token_reuse").exists()
    clock.shift(61)
    assert again.who() == "ada"


def test_copy_that_sits_out_two_rotations_is_still_found(user: User, clock: Any) -> None:
    browser = Visitor()
    browser.login(user)
    thief = browser.copy()
    for _ in range(2):
        clock.shift(HOUR + 1)
        for _ in range(30):
            assert browser.who() == "ada"
            clock.shift(10)
    clock.shift(301)
    assert thief.who() == ""
    assert SessionEvent.objects.filter(kind="token_reuse").count() == 1
    assert browser.who() == ""
