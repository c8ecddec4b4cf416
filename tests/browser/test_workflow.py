"""Two browsers of a user and one of a staff member, from login to logout, with each engine."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ENGINES

from .conftest import NewProfile
from .server import PASSWORD, Site
from .visits import FIREFOX, IPHONE, card, expect_login, log_in, press

pytestmark = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture
def user(site: Site) -> str:
    return site.new_user()


@pytest.fixture
def laptop(profile: NewProfile, user: str) -> Page:
    """The user's laptop, logged in."""
    return log_in(profile("198.51.100.7", user_agent=FIREFOX), user)


@pytest.fixture
def phone(profile: NewProfile, user: str) -> Page:
    """The user's phone, logged in."""
    return log_in(profile("203.0.113.4", user_agent=IPHONE), user)


def test_each_device_lists_both_and_itself_first(laptop: Page, phone: Page):
    laptop.goto("/sessions/")
    phone.goto("/sessions/")

    cards = laptop.locator(".jwtsession-card")
    expect(cards).to_have_count(2)
    expect(cards.nth(0)).to_contain_text("Firefox 149 on Ubuntu This device")
    expect(cards.nth(0)).to_contain_text("198.51.100.7")
    expect(cards.nth(1)).to_contain_text("Safari 26 on iOS")
    expect(cards.nth(1)).to_contain_text("203.0.113.4")
    expect(cards.nth(1).locator("svg")).to_be_visible()
    expect(phone.locator(".jwtsession-card").nth(0)).to_contain_text("iOS This device")


def test_device_that_staff_ends_is_at_the_login_at_its_next_click_and_the_other_goes_on(
    site: Site, profile: NewProfile, user: str, laptop: Page, phone: Page
):
    staff = log_in(profile("192.0.2.9"), site.new_user(staff=True), to="/admin/")
    # The cookie engine keeps no rows: there the login's line in the history ends the session.
    table = "sessionevent" if site.engine == "cookie" else "session"
    staff.goto(f"/admin/django_jwtsession/{table}/?q={user}")
    line = staff.get_by_role("row").filter(has_text="Safari 26 on iOS")
    line.locator(".field-end_link a").click()
    expect(staff.get_by_role("main")).to_contain_text(user)
    staff.get_by_role("button", name="Yes, end").click()
    expect(staff.get_by_text("session was ended")).to_be_visible()

    phone.get_by_role("link", name="Your sessions").click()
    expect_login(phone, back_to="/sessions/")
    laptop.get_by_role("link", name="Your sessions").click()
    expect(laptop.locator(".jwtsession-card")).to_have_count(1)
    expect(laptop.get_by_text("You are signed in on this device only.")).to_be_visible()
    laptop.get_by_role("link", name="History").click()
    expect(card(laptop, "Session ended by an administrator")).to_be_visible()


def test_user_ends_the_other_device(laptop: Page, phone: Page):
    laptop.goto("/sessions/")
    card(laptop, "iOS").get_by_role("button").click()

    expect(laptop).to_have_url("/sessions/#jwtsession-messages")
    expect(laptop.get_by_role("status")).to_be_focused()
    expect(laptop.get_by_role("status")).to_contain_text("The session was ended: Safari 26 on iOS.")
    expect(card(laptop, "iOS")).to_have_count(0)
    phone.get_by_role("link", name="Profile").click()
    expect_login(phone, back_to="/profile")


def test_password_in_the_form_itself_ends_all_others(site: Site, laptop: Page, phone: Page):
    site.later(6 * 60)
    laptop.goto("/sessions/")
    laptop.get_by_role("link", name="End all other sessions").click()

    laptop.get_by_label("Password").fill("not this one")
    press(laptop, "End all other sessions")
    expect(laptop.get_by_role("alert")).to_be_visible()
    phone.reload()
    expect(phone).to_have_url("/profile")  # nothing has been ended yet

    laptop.get_by_label("Password").fill(PASSWORD)
    expect(laptop.get_by_text("1 other device will be signed out")).to_be_visible()
    press(laptop, "End all other sessions")
    expect(laptop.get_by_role("status")).to_contain_text("All other sessions were ended.")
    expect(laptop.locator(".jwtsession-card")).to_have_count(1)
    phone.reload()
    expect_login(phone, back_to="/profile")


def test_old_login_gives_the_password_before_it_ends_one_and_comes_back_to_that(
    site: Site, laptop: Page, phone: Page
):
    site.later(6 * 60)
    laptop.goto("/sessions/")
    card(laptop, "iOS").get_by_role("button").click()
    expect(laptop.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    laptop.get_by_role("link", name="Back").click()
    expect(laptop).to_have_url("/sessions/")
    card(laptop, "iOS").get_by_role("button").click()
    laptop.get_by_label("Password").fill(PASSWORD)
    press(laptop, "Go on")
    expect(laptop.get_by_role("heading", name="End this session?")).to_be_visible()
    press(laptop, "End")
    expect(laptop.get_by_role("status")).to_contain_text("The session was ended: Safari 26 on iOS.")
    phone.reload()
    expect_login(phone, back_to="/profile")


def test_fresh_login_ends_all_this_one_as_well(laptop: Page, phone: Page):
    laptop.goto("/sessions/")
    laptop.get_by_role("link", name="End all, this one as well").click()
    laptop.get_by_label("Password").fill(PASSWORD)
    press(laptop, "End all sessions")

    expect(laptop).to_have_url("/login")
    expect(laptop.get_by_role("status")).to_contain_text("All your sessions were ended.")
    for page in (laptop, phone):
        page.goto("/profile")
        expect_login(page, back_to="/profile")


def go_back(page: Page, steps: int = 1) -> None:
    """Press Back; a page from the cache has no load event, which page.go_back() waits for."""
    page.evaluate(f"history.go(-{steps})")


def test_back_after_the_logout_shows_nothing_that_was_protected(laptop: Page, user: str):
    laptop.goto("/sessions/")
    laptop.goto("/profile")
    press(laptop, "Sign out")
    expect(laptop).to_have_url("/login")

    for address in ("/profile", "/sessions/"):
        go_back(laptop)
        expect_login(laptop, back_to=address)
        assert user not in laptop.content()


def test_page_that_a_browser_may_keep_does_come_back_after_the_logout(laptop: Page, user: str):
    """That the test above can fail: this Chromium has its back/forward cache on."""
    laptop.goto("/kept")
    laptop.evaluate("addEventListener('pageshow', event => { window.fromCache = event.persisted })")
    laptop.goto("/profile")
    press(laptop, "Sign out")
    expect(laptop).to_have_url("/login")

    go_back(laptop, 2)

    expect(laptop.get_by_role("heading", name=f"Hello, {user}")).to_be_visible()
    assert laptop.evaluate("window.fromCache")
