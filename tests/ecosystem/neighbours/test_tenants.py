"""django-tenants: each tenant's sessions in its own schema."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_tenants.utils import schema_context

from django_jwtsession.models import Session
from django_jwtsession.revocation import revoke_user_sessions

from ..site import PAGES, sid_of, sign_in, user_of
from ..tenant_app import models
from .conftest import PASSWORD

urlpatterns = PAGES
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tenants(db: None) -> Any:
    made = []
    for name in ("acme", "globex"):
        with schema_context("public"):
            tenant = models.Client(schema_name=name, name=name)
            tenant.save()
            models.Domain.objects.create(domain=f"{name}.example", tenant=tenant, is_primary=True)
        with schema_context(name):
            User.objects.create_user("ada", password=PASSWORD)
        made.append(tenant)
    yield made
    with schema_context("public"):
        for tenant in made:
            tenant.delete(force_drop=True)


def browser_of(name: str) -> Client:
    return Client(HTTP_HOST=f"{name}.example")


def test_session_is_its_tenants_alone(tenants: Any) -> None:
    acme, globex = browser_of("acme"), browser_of("globex")
    sign_in(acme, "ada", PASSWORD)
    assert (user_of(acme), user_of(globex)) == ("ada", "")
    globex.cookies["sessionid"] = acme.cookies["sessionid"].value
    assert user_of(globex) == ""
    with schema_context("acme"):
        assert Session.objects.count() == 1
    with schema_context("globex"):
        assert Session.objects.count() == 0


def test_end_in_one_tenant_ends_nothing_in_another(tenants: Any) -> None:
    acme, globex = browser_of("acme"), browser_of("globex")
    sign_in(acme, "ada", PASSWORD)
    sign_in(globex, "ada", PASSWORD)
    assert sid_of(acme) != sid_of(globex)
    with schema_context("globex"):
        revoke_user_sessions(User.objects.get())
    assert (user_of(acme), user_of(globex)) == ("ada", "")
