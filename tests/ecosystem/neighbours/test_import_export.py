"""django-import-export: the admin's import in two steps."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import path
from import_export.admin import ImportExportModelAdmin

from ..site import PAGES, sign_in
from ..site_app.models import Thing
from .conftest import PASSWORD

if not admin.site.is_registered(Thing):
    admin.site.register(Thing, ImportExportModelAdmin)

urlpatterns = [*PAGES, path("admin/", admin.site.urls)]
BASE = "/admin/site_app/thing/"


def test_import_is_confirmed_in_a_second_step(browser: Client, staff: Any) -> None:
    sign_in(browser, "grace", PASSWORD)
    table = SimpleUploadedFile("things.csv", b"id,name\n,one\n,two\n", "text/csv")
    page: Any = browser.post(f"{BASE}import/", {"import_file": table, "format": "0"})
    form = page.context["confirm_form"]
    answer = browser.post(f"{BASE}process_import/", form.initial)
    assert answer.status_code == 302
    assert set(Thing.objects.values_list("name", flat=True)) == {"one", "two"}
    export = browser.post(f"{BASE}export/", {"format": "0", "resource": "0"})
    assert export.status_code == 200
