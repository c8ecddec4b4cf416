"""The session cookie as the browser keeps it, and forms of other sites."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ENGINES

from .conftest import NewProfile
from .server import PASSWORD, Site
from .visits import expect_login, log_in, press

WEEK = 7 * 24 * 60 * 60


def session_cookie(page: Page) -> dict[str, Any] | None:
    """Return the session cookie of a profile."""
    cookies = [c for c in page.context.cookies() if c["name"].endswith("sessionid")]
    assert len(cookies) < 2
    return dict(cookies[0]) if cookies else None


@pytest.fixture(params=["http", "https"])
def site(
    request: pytest.FixtureRequest, serving: Callable[..., Site], engine: str, certificate: Path
) -> Site:
    """The demo on plain http, and the production site over https."""
    return serving(engine, certificate) if request.param == "https" else serving(engine)


# --- as the browser keeps it ---------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.requirement("ASVS 3.3.1", "ASVS 3.3.2", "ASVS 3.3.4")
def test_flags_of_the_cookie(site: Site, profile: NewProfile):
    page = log_in(profile(), site.new_user())

    cookie = session_cookie(page)

    assert cookie
    https = site.url.startswith("https:")
    assert cookie["name"] == ("__Host-sessionid" if https else "sessionid")
    assert cookie["secure"] is https
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["domain"] == "127.0.0.1"  # with a Domain attribute it would begin with a dot
    assert cookie["expires"] == pytest.approx(time.time() + WEEK, abs=20)
    assert "sessionid" not in page.evaluate("document.cookie")


def test_logout_takes_the_cookie_out_of_the_browser(site: Site, profile: NewProfile):
    page = log_in(profile(), site.new_user())
    assert session_cookie(page)

    press(page, "Sign out")

    expect(page).to_have_url("/login")
    assert session_cookie(page) is None


@pytest.mark.parametrize("site", ["https"], indirect=True)
@pytest.mark.requirement("ASVS 3.3.3", "RFC 6265bis 4.1.3")
def test_only_a_secure_cookie_for_the_whole_site_may_have_that_name(
    site: Site, profile: NewProfile
):
    """What the prefix is for."""
    page = profile()
    page.goto("/login")
    for attributes in ("Path=/login; Secure", "Path=/"):
        page.evaluate(f"document.cookie = '__Host-sessionid=planted; {attributes}'")
        assert session_cookie(page) is None, attributes

    page.evaluate("document.cookie = '__Host-sessionid=planted; Path=/; Secure'")
    assert session_cookie(page)  # the control: the same cookie without those


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("site", ["http"], indirect=True)
def test_expiry_moves_with_a_visit_in_the_second_half_of_the_session(
    site: Site, profile: NewProfile
):
    """The browser's own clock is not moved: the new expiry is a week from its now."""
    page = log_in(profile(), site.new_user())
    at_login = expiry(page)
    page.goto("/")
    assert expiry(page) == at_login

    page.goto("/profile")
    for _ in range(2):  # the second time would be after the end, had the first extended nothing
        before = expiry(page)
        site.later(0.6 * WEEK)
        page.wait_for_timeout(1000)
        page.reload()
        expect(page).to_have_url("/profile")
        assert expiry(page) >= before + 1
    assert expiry(page) == pytest.approx(time.time() + WEEK, abs=20)


def expiry(page: Page) -> float:
    cookie = session_cookie(page)
    assert cookie
    return float(cookie["expires"])


# --- other sites ---------------------------------------------------------------------------------


def send_form(page: Page, site: Site, action: str, **fields: str) -> int:
    """Let another site send a form to this one; return the status."""
    page.goto(f"{site.other_site}/login")
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    form = f'<form method="post" action="{site.url}{action}">{inputs}<button>Win</button></form>'
    page.set_content(form)
    with page.expect_navigation() as navigation:
        page.get_by_role("button", name="Win").click()
    assert navigation.value.request.all_headers()["sec-fetch-site"] == "cross-site"
    return navigation.value.status


@pytest.mark.requirement("ASVS 7.6.2", "RFC 9700 4.7")
def test_form_of_another_site_logs_nobody_in(site: Site, profile: NewProfile):
    page = profile()
    page.goto("/login")

    status = send_form(page, site, "/login", username=site.new_user(), password=PASSWORD)

    assert status == 403
    page.goto("/profile")
    expect_login(page, back_to="/profile")


def test_form_of_another_site_logs_nobody_out(site: Site, profile: NewProfile):
    page = log_in(profile(), site.new_user())

    for action in ("/logout", "/sessions/end-all/"):
        assert send_form(page, site, action) == 403
        page.goto("/profile")
        expect(page).to_have_url("/profile")


def test_form_of_another_site_is_refused_even_with_a_token_that_has_leaked(
    site: Site, profile: NewProfile
):
    page = profile()
    page.goto("/login")
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()

    user = site.new_user()
    sent = {"username": user, "password": PASSWORD, "csrfmiddlewaretoken": token}

    assert send_form(page, site, "/login", **sent) == 403
    page.goto("/profile")
    expect_login(page, back_to="/profile")
