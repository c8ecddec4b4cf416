"""The documentation against the code: pictures, files that are named, checks, the token profile."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def _drawer() -> Any:
    spec = importlib.util.spec_from_file_location("draw", DOCS / "pictures" / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["request.svg", "theft.svg"])
def test_picture_is_what_its_maker_draws(name: str) -> None:
    written = (DOCS / "pictures" / name).read_text(encoding="utf-8")
    assert written == _drawer().PICTURES[name](), "python docs/pictures/draw.py"


def test_every_room_of_the_package_is_in_the_picture_with_words() -> None:
    draw = _drawer()
    rooms = [room for layer in draw.layers() for room in layer]
    picture = draw.rooms()
    assert all(draw.words(room) for room in rooms)
    assert all(f">{room}" in picture for room in rooms)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    """Those of the package and its tests; a site's own have other folders."""
    text = page.read_text(encoding="utf-8")
    rooms = "backends|tokens|revocation|history|models|devices|pages|admin|checks|conf|management"
    for name in re.findall(rf"`((?:{rooms})/[\w/]+\.py)`", text):
        assert (ROOT / "django_jwtsession" / name).is_file(), name
    for name in re.findall(r"`((?:tests|benchmarks|django_jwtsession)/[\w/]+\.py)\b", text):
        assert (ROOT / name).is_file(), name


def test_index_sorts_pages_that_are_there() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = re.findall(r"^([a-z-]+)$", text, re.MULTILINE)
    assert len(pages) == len(set(pages)) > 15
    assert all((DOCS / f"{page}.md").is_file() for page in pages)
