"""Every page under axe-core and in its width, light and dark, on a phone and on a desktop."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from .scene import PAGES, Scene
from .visits import DESKTOP, PHONE, assert_fits, speak

# Of Django's admin itself: links in another colour only, a search box whose label is a picture.
_DJANGOS = [[".breadcrumbs"], [".small"], ["#searchbar"], ["#user_form"]]
# Django's admin has its own smallest width.
WIDTHS = (320, 390, 1024, 1280)
_SETTLED = "() => Promise.all(document.getAnimations().map(animation => animation.finished))"


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_the_page_fits(scene: Scene, name: str):
    page = scene.show(name)
    found = {}
    for wide in WIDTHS:
        page.set_viewport_size({"width": wide, "height": 800})
        assert_fits(page)
    for width, size in (("phone", PHONE), ("desktop", DESKTOP)):
        page.set_viewport_size(size)
        assert_fits(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.evaluate(_SETTLED)  # colours change by and by
            if violations := axe(page):
                found[f"{name}, {scheme}, {width}"] = violations

    assert not found


@pytest.mark.parametrize("language", ["de", "fr", "es"])
def test_pages_fit_in_every_language(scene: Scene, language: str):
    for name in PAGES:
        page = scene.show(name)
        speak(page, language)
        try:
            page.reload()
            assert page.locator("html").get_attribute("lang") == language
            for size in (PHONE, DESKTOP):
                page.set_viewport_size(size)
                assert_fits(page)
        finally:
            speak(page, "en")


def axe(page: Page) -> list[str]:
    """Return the rules that axe sees broken, and where."""
    violations = Axe().run(page, context={"exclude": _DJANGOS}).response["violations"]
    return [
        f"{violation['id']}: {' '.join(node['target'])}"
        for violation in violations
        for node in violation["nodes"]
    ]
