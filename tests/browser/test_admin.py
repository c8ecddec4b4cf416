"""The admin's lists, with what hostile visitors call themselves and their browsers."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import NewProfile
from .server import Site
from .visits import DESKTOP, IPHONE, log_in, press, speak

_RIGHT = "e => e.getBoundingClientRect().right"
_LEFT = "e => e.getBoundingClientRect().left"


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
@pytest.mark.parametrize(
    ("table", "last"), [("session", "expires"), ("sessionevent", "actor_name")]
)
def test_long_words_of_visitors_push_no_column_out_of_the_window(
    site: Site, profile: NewProfile, language: str, table: str, last: str
):
    user = site.new_user()
    log_in(profile("2001:db8:85a3:8d3:1319:8a2e:370:7348", user_agent=IPHONE), user)
    long = {"browser": "W" * 60 + " 1", "os": "X" * 60}
    for name in ("session", "sessionevent"):
        site.sql(
            f"UPDATE django_jwtsession_{name} SET browser = ?, os = ? WHERE user_id ="
            " (SELECT id FROM auth_user WHERE username = ?)",
            *long.values(),
            user,
        )
    site.sql("UPDATE auth_user SET username = ? WHERE username = ?", "w" * 140 + user[-8:], user)
    staff = log_in(profile(viewport=DESKTOP), site.new_user(staff=True), to="/admin/")
    speak(staff, language)

    staff.goto(f"/admin/django_jwtsession/{table}/?q={user[-8:]}")

    line = staff.get_by_role("row").filter(has_text=user[-8:]).first
    # Wherever the window ends, nothing lies over anything else.
    assert line.locator(f".field-{last}").evaluate(_RIGHT) <= DESKTOP["width"]


WIDTHS = (1440, 1280, 1024, 390, 320)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("table", ["session", "sessionevent"])
def test_end_is_in_view_and_no_column_covers_another(
    site: Site, profile: NewProfile, width: int, table: str
):
    user = site.new_user()
    log_in(profile("2001:db8:85a3:8d3:1319:8a2e:370:7348", user_agent=IPHONE), user)
    staff = log_in(profile(), site.new_user(staff=True), to="/admin/")
    for language in ("en", "de"):
        speak(staff, language)
        staff.set_viewport_size({"width": width, "height": 800})
        staff.goto(f"/admin/django_jwtsession/{table}/?q={user}")
        line = staff.locator("#result_list tbody tr").filter(
            has=staff.locator(".jwtsession-button")
        )
        button = line.first.locator(".jwtsession-button")
        assert 0 <= button.evaluate(_LEFT) < button.evaluate(_RIGHT) <= width
        edges = line.first.evaluate(
            "e => [...e.children].flatMap(c => [c.getBoundingClientRect().left,"
            " c.getBoundingClientRect().right])"
        )
        assert edges == sorted(edges)
        if width >= 1024:
            assert edges[-1] <= width


@pytest.mark.parametrize("table", ["session", "sessionevent"])
def test_focus_goes_where_the_action_happened(site: Site, profile: NewProfile, table: str):
    user = site.new_user()
    log_in(profile(user_agent=IPHONE), user)
    staff = log_in(profile(), site.new_user(staff=True), to="/admin/")
    staff.goto(f"/admin/django_jwtsession/{table}/?q={user}")
    button = staff.locator("#result_list .jwtsession-button").first
    button.press("Enter")

    staff.get_by_role("link", name="No, take me back").press("Enter")
    expect(button).to_be_focused()
    button.press("Enter")
    press(staff, "Yes, end it")

    main = staff.locator("main")
    expect(main).to_contain_text("ended")
    expect(main).to_be_focused()
    expect(staff.locator(".messagelist")).to_be_in_viewport()
    assert staff.url.endswith(f"/?q={user}#content-start")
