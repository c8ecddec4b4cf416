"""The pages in the frame of a site that has a base.html of its own, and no dark mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import NewProfile
from .server import Site
from .test_accessibility import axe
from .visits import DESKTOP, IPHONE, PHONE, assert_fits, log_in

FRAME = Path(__file__).parent / "frame"
_STYLE = """part => {
    const style = getComputedStyle(document.querySelector(part))
    return [style.color, style.backgroundColor, style.fontSize, style.margin]
}"""


@pytest.fixture
def site(serving: Callable[..., Site]) -> Site:
    return serving("hybrid", templates=FRAME)


def test_frame_of_a_site_keeps_its_look_and_the_pages_can_be_read_in_it(
    site: Site, profile: NewProfile
):
    user = site.new_user()
    log_in(profile(user_agent=IPHONE), user, to="/sessions/")
    page = log_in(profile(color_scheme="dark"), user, to="/sessions/")

    for path in ("/sessions/", "/sessions/history/", "/sessions/end-all/", "/confirm/", "/login"):
        page.goto(path)
        assert page.title().endswith("| Our site")
        for part, wanted in {
            "body": ["rgb(34, 34, 34)", "rgb(255, 255, 255)", "16px", "32px"],
            "h1": ["rgb(34, 34, 34)", "rgba(0, 0, 0, 0)", "48px"],
            "header h2": ["rgb(34, 34, 34)", "rgba(0, 0, 0, 0)", "48px"],
        }.items():
            assert page.evaluate(_STYLE, part)[: len(wanted)] == wanted, (path, part)
        for size in (PHONE, DESKTOP):
            page.set_viewport_size(size)
            assert_fits(page)
        assert not axe(page), path
