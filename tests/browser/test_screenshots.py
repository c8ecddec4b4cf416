"""Pictures of every page; `make screenshots` writes them into the documentation."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import ViewportSize

from tests.services.servers import ROOT

from .scene import PAGES, Scene

COMMITTED = ROOT / "docs" / "screenshots"
PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 960, "height": 640}
ADMIN: ViewportSize = {"width": 1440, "height": 780}  # its lists are wide
# What stands below is Django's own.
HEIGHTS = {"admin-user": 340}
LARGEST = 40_000
ALL = 1_500_000


def test_pictures_of_every_page_are_small_and_in_the_documentation(scene: Scene, tmp_path: Path):
    folder = COMMITTED if os.environ.get("SCREENSHOTS") else tmp_path
    folder.mkdir(exist_ok=True)
    for name in PAGES:
        page = scene.show(name)
        desktop = ADMIN if name.startswith("admin-") else DESKTOP
        for width, size in (("phone", PHONE), ("desktop", desktop)):
            page.set_viewport_size({**size, "height": HEIGHTS.get(name, size["height"])})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                file = folder / f"{name}-{scheme}-{width}.png"
                save(page.screenshot(animations="disabled", caret="hide"), file)

    sizes = {file.name: file.stat().st_size for file in folder.glob("*.png")}
    assert max(sizes.values()) < LARGEST, sizes
    assert sum(sizes.values()) < ALL
    shown = re.findall(r"\(screenshots/([\w-]+\.png)\)", (ROOT / "docs/screenshots.md").read_text())
    assert sorted(sizes) == sorted(file.name for file in COMMITTED.iterdir()) == sorted(shown)


def save(png: bytes, file: Path) -> None:
    """Write a picture in 32 colours, a third of its size."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(32, dither=Image.Dither.NONE).save(file, optimize=True)
