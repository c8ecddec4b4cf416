"""The admin's lists, with what hostile visitors call themselves and their browsers."""

from __future__ import annotations

import pytest

from .conftest import NewProfile
from .server import Site
from .visits import DESKTOP, IPHONE, log_in, speak

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
    # The link that ends the session is always in view, and lies over what it would cover.
    edge = line.locator(".field-end_link").evaluate(_LEFT)
    assert line.locator(f".field-{last}").evaluate(_RIGHT) <= edge + 1
    assert line.locator(".field-end_link").evaluate(_RIGHT) <= DESKTOP["width"]
