"""What visitors do and see."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, ViewportSize, expect

from .server import PASSWORD

FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1"
)

PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1440, "height": 900}


def log_in(page: Page, user: str, to: str = "/profile") -> Page:
    """Log in through the login page, which leads to `to`."""
    page.goto(f"/login?next={to}")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")
    expect(page).to_have_url(to)
    return page


def press(page: Page, button: str) -> None:
    """Press a button of the page itself, not one of the navigation."""
    page.get_by_role("main").get_by_role("button", name=button, exact=True).click()


def speak(page: Page, language: str) -> None:
    """Let the site speak a language from now on."""
    host = urlsplit(page.url).hostname
    cookie = {"name": "django_language", "value": language, "domain": host, "path": "/"}
    page.context.add_cookies([cookie])  # type: ignore[list-item]


def card(page: Page, words: str) -> Locator:
    """Return the card of a session, or of an event, with these words."""
    return page.locator(".jwtsession-card").filter(has_text=words)


def expect_login(page: Page, back_to: str) -> None:
    """Expect the login page, which leads back to where the visitor wanted to go."""
    expect(page).to_have_url(f"/login?next={back_to}")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def assert_fits(page: Page) -> None:
    """Assert that the page is not wider than the window."""
    inner, outer = page.evaluate(
        "() => { const e = document.documentElement; return [e.scrollWidth, e.clientWidth] }"
    )
    assert inner <= outer, f"{page.url} is {inner} px wide in {outer}"
