"""django-easy-audit: logins, requests with their user, changes."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.models import Session as DjangoSession
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from easyaudit.models import CRUDEvent, LoginEvent, RequestEvent

from django_jwtsession.models import Session

from ..site import PAGES, sign_in
from ..site_app.models import Thing
from .conftest import PASSWORD


def make(request: Any) -> HttpResponse:
    Thing.objects.create(name="made")
    return HttpResponse("made")


urlpatterns = [*PAGES, path("make/", make)]
pytestmark = pytest.mark.django_db(transaction=True)


def test_audit_knows_who_did_what(browser: Client, ada: Any) -> None:
    sign_in(browser, "ada", PASSWORD)
    browser.get("/make/")
    assert LoginEvent.objects.filter(user=ada).count() == 1
    assert RequestEvent.objects.get(url="/make/").user == ada
    assert CRUDEvent.objects.get(content_type__model="thing").user == ada
    assert (Session.objects.count(), DjangoSession.objects.count()) == (1, 0)
