"""The warning before the session ends, in real time: the server's clock is in the answer's Date."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .conftest import NewProfile
from .server import Site
from .visits import log_in


@pytest.fixture
def page(site: Site, profile: NewProfile) -> Page:
    """A page of somebody whose session ends in 7 s, which warns 4 s before."""
    page = log_in(profile(), site.new_user())
    page.goto("/ending?7")
    return page


def test_visitor_is_warned_extends_the_session_and_goes_on_writing(page: Page) -> None:
    notes = page.get_by_label("Notes")
    notes.press_sequentially("half a sen")
    warning = page.get_by_role("alertdialog", name="You will be signed out at")
    for _ in range(2):
        expect(warning).to_be_visible()
        page.keyboard.press("Enter")  # the button has the focus
        expect(warning).to_be_hidden()
    expect(notes).to_be_focused()
    notes.press_sequentially("tence")
    expect(notes).to_have_value("half a sentence")


def test_login_page_is_shown_once_the_session_is_over(page: Page) -> None:
    """With the query that its address has."""
    expect(page.get_by_role("alertdialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url("/login?by=name&next=%2Fending%3F7")


def test_page_of_a_visitor_without_a_login_stays(site: Site, profile: NewProfile) -> None:
    page = profile()
    with page.expect_response("**/session/") as asked:
        page.goto("/ending?7")
    assert asked.value.json()["authenticated"] is False
    expect(page).to_have_url("/ending?7")
    expect(page.get_by_role("alertdialog")).to_be_hidden()
