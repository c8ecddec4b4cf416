"""Wagtail's admin: login, an edit, a new password, logout."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import include, path
from wagtail import urls as wagtail_urls
from wagtail.admin import urls as wagtailadmin_urls
from wagtail.documents import urls as wagtaildocs_urls
from wagtail.models import Locale, Page, Site

from ..site import PAGES, user_of
from .conftest import PASSWORD

urlpatterns = [
    *PAGES,
    path("cms/", include(wagtailadmin_urls)),
    path("documents/", include(wagtaildocs_urls)),
    path("", include(wagtail_urls)),
]


@pytest.fixture
def home(db: None) -> Page:
    locale, _ = Locale.objects.get_or_create(language_code="en")
    root = Page.objects.first() or Page.add_root(title="Root", slug="root", locale=locale)
    page = Page(title="Home", slug="home-page", locale=locale)
    root.add_child(instance=page)
    Site.objects.get_or_create(hostname="localhost", root_page=page, is_default_site=True)
    return page


def test_admin(browser: Client, staff: Any, home: Page) -> None:
    answer: Any = browser.get("/cms/")
    assert answer.url.startswith("/cms/login/")
    form = {"username": "grace", "password": PASSWORD, "next": "/cms/"}
    assert browser.post("/cms/login/", form).status_code == 302
    assert browser.get("/cms/").status_code == 200
    assert browser.get(f"/cms/pages/{home.pk}/edit/").status_code == 200
    changed = {"title": "Another", "slug": "home-page", "comments-TOTAL_FORMS": "0"}
    changed |= {"comments-INITIAL_FORMS": "0", "comments-MAX_NUM_FORMS": "1000"}
    changed |= {"comments-MIN_NUM_FORMS": "0"}
    assert browser.post(f"/cms/pages/{home.pk}/edit/", changed).status_code == 302
    page = browser.get(f"/cms/pages/{home.pk}/edit/").content.decode()
    assert "Another" in page
    browser.post("/cms/logout/")
    assert user_of(browser) == ""


def test_rich_admin_pages_open(browser: Client, staff: Any, home: Page) -> None:
    browser.force_login(staff)
    for page in ("/cms/account/", "/cms/users/", "/cms/images/", "/cms/reports/site-history/"):
        assert browser.get(page).status_code == 200, page
