"""Sphinx: `make docs`. index.md sorts the pages; those that it does not name stand under "More"."""

import runpy
from pathlib import Path

import django
from django.conf import settings

from django_jwtsession import __version__

FOLDER = Path(__file__).parent
runpy.run_path(str(FOLDER / "pictures" / "draw.py"))["main"]()

# What autodoc imports needs Django's apps, and no database.
settings.configure(
    SECRET_KEY="only to build the documentation, and of no site",  # noqa: S106
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django_jwtsession",
        "django_jwtsession.contrib.dbsc",
    ],
    SESSION_ENGINE="django_jwtsession.backends.hybrid",
)
django.setup()

project = "django_jwtsession"
author = "The django_jwtsession authors"
copyright = "2026, The django_jwtsession authors"  # noqa: A001
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"django_jwtsession {release}"
autodoc_member_order = "bysource"
autodoc_typehints = "none"


def setup(app):
    """Let no page be forgotten: what index.md does not name comes last."""
    app.connect("source-read", add_the_others)


def add_the_others(app, name, source):
    if name != "index":
        return
    named = set(source[0].split())
    others = sorted({path.stem for path in FOLDER.glob("*.md")} - named - {"index"})
    if others:
        pages = "\n".join(others)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: More\n\n{pages}\n```\n"
