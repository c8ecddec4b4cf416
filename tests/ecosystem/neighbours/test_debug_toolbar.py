"""django-debug-toolbar: on a page, with its panels of requests and history."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from debug_toolbar.toolbar import debug_toolbar_urls
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from ..site import PAGES, sign_in
from .conftest import PASSWORD


def page(request: Any) -> HttpResponse:
    request.session["seen"] = "by the toolbar"
    return HttpResponse("<html><body>Page</body></html>")


urlpatterns = [*PAGES, path("page/", page), *debug_toolbar_urls()]


@pytest.fixture(autouse=True)
def debug(settings: Any) -> None:
    settings.DEBUG = True


def test_panels_show_the_session(browser: Client, ada: Any) -> None:
    sign_in(browser, "ada", PASSWORD)
    body = browser.get("/page/").content.decode()
    found = re.search(r'data-request-id="(\w+)"', body)
    assert found, body[:500]
    query = {"request_id": found[1], "panel_id": "RequestPanel"}
    panel = json.loads(browser.get("/__debug__/render_panel/", query).content)
    assert "by the toolbar" in panel["content"]
    assert "Page" in body
