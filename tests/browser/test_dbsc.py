"""Sessions bound to a device, by Chromium itself (docs/dbsc.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .conftest import NewDevice, profiles
from .device import PROOF, Device
from .server import PASSWORD, Site
from .visits import log_in, press

AFTER = 601  # seconds: the proof has ended


@pytest.fixture(params=["proof", "strict"])
def mode(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def max_age() -> int:
    return 600


@pytest.fixture
def site(serving: Callable[..., Site], certificate: Path, mode: str, max_age: int) -> Site:
    return serving("hybrid", certificate, dbsc=json.dumps({"MODE": mode, "MAX_AGE": max_age}))


only_proof = pytest.mark.parametrize("mode", ["proof"])
only_strict = pytest.mark.parametrize("mode", ["strict"])
# Seconds, by the browser's own clock.
short = pytest.mark.parametrize("max_age", [2])
under_two_minutes = pytest.mark.parametrize("max_age", [100])


@pytest.fixture
def user(site: Site) -> str:
    return site.new_user()


def events(site: Site, user: str) -> list[str]:
    """Return what happened to a user, oldest first."""
    rows = site.sql(
        "SELECT kind FROM django_jwtsession_sessionevent WHERE user_id ="
        " (SELECT id FROM auth_user WHERE username = ?) ORDER BY created_at, id",
        user,
    )
    return [row["kind"] for row in rows]


def ten_minutes_later(site: Site, device: Device) -> None:
    """Move the server's clock, and let the browser's cookie end, whose clock nobody moves."""
    site.later(AFTER)
    device.lose_proof()


# --- the exchange --------------------------------------------------------------------------------


def test_login_that_redirects_binds_the_session(site: Site, device: NewDevice, user: str):
    browser = device().log_in(user)

    assert browser.read("/proof") == f"{user}, proved"
    assert events(site, user) == ["login", "bound"]
    proof = browser.cookie(PROOF)
    assert 590 < proof["expires"] - time.time() <= 600
    browser.page.goto("/sessions/")
    expect(browser.page.get_by_text("Bound to this device")).to_be_visible()
    assert not browser.refreshed  # the cookie is what the browser was told


def test_request_waits_for_the_proof_that_has_ended(site: Site, device: NewDevice, user: str):
    browser = device().log_in(user)
    for _ in range(2):
        ten_minutes_later(site, browser)
        assert browser.read("/proof") == f"{user}, proved"
    assert [each["wasFullyProactiveRefresh"] for each in browser.refreshed] == [False, False]
    assert not browser.ended


@only_proof
@under_two_minutes
def test_proof_is_renewed_before_it_ends(site: Site, device: NewDevice, user: str):
    browser = device().log_in(user)

    assert browser.read("/proof") == f"{user}, proved"

    browser.wait(lambda: browser.refreshed)
    assert browser.refreshed[0]["wasFullyProactiveRefresh"]


@only_strict
@short
def test_session_goes_on_after_a_proof_that_ends_by_itself(
    site: Site, device: NewDevice, user: str
):
    browser = device().log_in(user)
    browser.wait(lambda: browser.cookie(PROOF) is None)
    assert browser.read("/proof") == f"{user}, proved"


EIGHT = """() => Promise.all([...Array(8).keys()].map(
    n => fetch('/proof?k' + n).then(r => r.text())))"""


@only_strict
def test_eight_requests_after_the_end_cause_one_proof(site: Site, device: NewDevice, user: str):
    browser = device().log_in(user)
    ten_minutes_later(site, browser)

    answers = browser.page.evaluate(EIGHT)

    assert [answer.partition(" k")[0] for answer in answers] == [f"{user}, proved"] * 8
    assert len(browser.refreshed) == 1
    written = browser.read("/proof").split()[2:]
    assert sorted(written) == [f"k{n}" for n in range(8)]


@only_strict
def test_browser_that_was_closed_goes_on(site: Site, device: NewDevice, user: str):
    before = device("profile").log_in(user)
    before.context.close()
    site.later(AFTER)

    browser = device("profile")
    browser.lose_proof()

    assert browser.read("/proof") == f"{user}, proved"
    assert events(site, user) == ["login", "bound"]


def test_proof_that_could_not_be_given_is_asked_for_again(
    site: Site, device: NewDevice, user: str, mode: str
):
    browser = device().log_in(user)
    ten_minutes_later(site, browser)

    site.sql("ALTER TABLE dbsc_binding RENAME TO out_of_reach")
    try:
        without = browser.read("/proof")
    finally:
        site.sql("ALTER TABLE out_of_reach RENAME TO dbsc_binding")

    who = {"proof": user, "strict": "nobody"}[mode]
    assert without == f"{who}, not proved"
    assert not browser.ended
    assert browser.read("/proof") == f"{user}, proved"


# --- a copy --------------------------------------------------------------------------------------


def test_copied_cookies_die_with_the_proof_and_the_browser_goes_on(
    site: Site, device: NewDevice, user: str, mode: str
):
    browser, thief = device().log_in(user), device()
    thief.take_cookies_of(browser)
    assert thief.read("/proof") == f"{user}, proved"

    site.later(AFTER)  # and the thief's cookies never end

    dead = {"proof": f"{user}, not proved", "strict": "nobody, not proved"}[mode]
    assert thief.read("/proof") == dead
    assert "guarded" not in thief.read("/guarded")
    browser.lose_proof()
    assert browser.read("/proof") == f"{user}, proved"
    assert browser.read("/guarded") == f"guarded, for {user}"
    assert thief.read("/proof") == dead


# --- the end -------------------------------------------------------------------------------------


@only_proof
def test_session_that_staff_have_ended_has_no_next_proof(
    site: Site, device: NewDevice, chromium: Browser, user: str
):
    browser = device().log_in(user)
    with profiles(chromium, site) as profile:
        staff = log_in(profile(), site.new_user(staff=True), to="/admin/")
        staff.goto(f"/admin/django_jwtsession/session/?q={user}")
        staff.locator("#result_list .jwtsession-button").click()
        staff.get_by_role("button", name="Yes, end").click()
        expect(staff.get_by_text("session was ended")).to_be_visible()
    assert browser.read("/proof") == "nobody, not proved"
    assert not browser.ended

    ten_minutes_later(site, browser)

    assert browser.read("/proof") == "nobody, not proved"
    assert browser.ended == ["RefreshFatalError"]
    assert browser.log_in(user).read("/proof") == f"{user}, proved"


@only_proof
def test_logout_ends_the_binding(site: Site, device: NewDevice, user: str):
    browser = device().log_in(user)

    browser.page.get_by_role("button", name="Sign out").first.click()

    browser.wait(lambda: browser.ended)
    assert browser.cookie(PROOF) is None
    assert events(site, user) == ["login", "bound", "logout"]
    refreshes = len(browser.refreshed)
    assert browser.read("/proof") == "nobody, not proved"
    assert len(browser.refreshed) == refreshes
    assert browser.log_in(user).read("/proof") == f"{user}, proved"


# --- logins --------------------------------------------------------------------------------------


def test_pages_that_are_asked_while_the_key_is_made_open(site: Site, device: NewDevice, user: str):
    browser = device()
    # Longer than a busy browser takes from the login to the page that it asks for meanwhile.
    site.delay("/dbsc/start", 3)
    site.delay("/slow", 4)
    try:
        log_in(browser.page, user, "/proof")
        assert browser.page.inner_text("body") == f"{user}, not proved"
        # Its answer, with the cookie of before the binding, is the last.
        slow = browser.page.evaluate("() => fetch('/slow?late').then(r => r.text())")
    finally:
        site.delay("/dbsc/start", 0)
        site.delay("/slow", 0)
    assert slow == f"{user}, not proved late"
    browser.wait(lambda: browser.created)
    assert browser.read("/proof") == f"{user}, proved late"
    ten_minutes_later(site, browser)
    assert browser.read("/proof") == f"{user}, proved late"


@only_strict
def test_guarded_page_after_the_login_loads_itself_again(site: Site, device: NewDevice, user: str):
    browser = device()
    site.delay("/dbsc/start", 0.5)
    try:
        log_in(browser.page, user, "/guarded")
        expect(browser.page.get_by_text(f"guarded, for {user}")).to_be_visible()
    finally:
        site.delay("/dbsc/start", 0)


@only_strict
def test_new_epoch_stays_bound(site: Site, device: NewDevice, user: str):
    browser = device().log_in(user)
    browser.page.goto("/confirm/?next=/proof")
    browser.page.get_by_label("Password").fill(PASSWORD)
    press(browser.page, "Go on")
    assert browser.page.inner_text("body") == f"{user}, proved"
    for _ in range(2):
        ten_minutes_later(site, browser)
        assert browser.read("/proof") == f"{user}, proved"


def test_second_user_in_the_browser_has_a_binding_of_their_own(
    site: Site, device: NewDevice, user: str
):
    browser, other = device().log_in(user), site.new_user()
    browser.page.get_by_role("button", name="Sign out").first.click()
    browser.log_in(other)
    for _ in range(2):
        ten_minutes_later(site, browser)
        assert browser.read("/proof") == f"{other}, proved"


@only_strict
def test_login_with_the_key_at_hand_keeps_it(site: Site, device: NewDevice, user: str):
    browser = device().log_in(user)
    browser.page.goto(f"/login-of?{user}")
    for _ in range(2):
        ten_minutes_later(site, browser)
        assert browser.read("/proof") == f"{user}, proved"
    assert events(site, user) == ["login", "bound", "login"]


@only_strict
def test_login_of_another_user_without_a_logout_binds_the_new_session(
    site: Site, device: NewDevice, user: str
):
    browser, other = device().log_in(user), site.new_user()
    browser.page.goto(f"/login-of?{other}")
    browser.wait(lambda: len(browser.created) == 2)
    for _ in range(2):  # the first key asks for a proof as well, and is refused
        ten_minutes_later(site, browser)
        assert browser.read("/proof") == f"{other}, proved"
    assert events(site, other) == ["login", "bound"]


# --- from another site ---------------------------------------------------------------------------


def test_login_that_another_site_led_to_binds_the_session(site: Site, device: NewDevice, user: str):
    browser = device()
    browser.follow(f"/login-of?{user}")
    browser.wait(lambda: browser.created)
    for _ in range(2):
        assert browser.read("/proof") == f"{user}, proved"
        ten_minutes_later(site, browser)
    assert events(site, user) == ["login", "bound"]


def test_link_on_another_site_opens_the_page(site: Site, device: NewDevice, user: str, mode: str):
    browser = device().log_in(user)
    for path, text in [("/guarded", f"guarded, for {user}"), ("/profile", user)]:
        ten_minutes_later(site, browser)
        browser.follow(path)
        expect(browser.page.get_by_text(text).first).to_be_visible()
        expect(browser.page).to_have_url(path)


def test_view_that_wants_a_younger_proof_gets_one(site: Site, device: NewDevice, user: str):
    browser = device().log_in(user)
    assert browser.read("/guarded-well") == f"guarded well, for {user}"
    site.later(301)
    browser.page.goto("/guarded-well")
    expect(browser.page.get_by_text(f"guarded well, for {user}")).to_be_visible()
    assert len(browser.refreshed) == 1


# --- without it ----------------------------------------------------------------------------------


def test_browser_that_binds_nothing_notices_nothing(site: Site, chromium: Browser, user: str):
    with profiles(chromium, site) as profile:
        page = log_in(profile(), user)
        for _ in range(2):
            site.later(AFTER)
            page.goto("/proof?kept")
            assert page.inner_text("body") == f"{user}, not proved kept"
    assert events(site, user) == ["login"]
