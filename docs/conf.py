"""Sphinx: `make docs`. Every page beside this one is found by index.md."""

import runpy
from pathlib import Path

from django_jwtsession import __version__

runpy.run_path(str(Path(__file__).parent / "pictures" / "draw.py"))["main"]()

project = "django_jwtsession"
author = "The django_jwtsession authors"
copyright = "2026, The django_jwtsession authors"  # noqa: A001
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"django_jwtsession {release}"
