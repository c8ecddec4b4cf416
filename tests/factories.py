"""Users and sessions for tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from django_jwtsession.models import Session
from django_jwtsession.tokens.sid import new_sid, uuid_from_sid

PASSWORD = "a long enough password"


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence("user{}".format)
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    password = factory.django.Password(PASSWORD)

    class Params:
        staff = factory.Trait(is_staff=True)
        admin = factory.Trait(is_staff=True, is_superuser=True)


class SessionFactory(factory.django.DjangoModelFactory[Session]):
    """A row as a login on Ubuntu's Firefox leaves it; nobody holds its cookie."""

    class Meta:
        model = Session

    id = factory.LazyFunction(lambda: uuid_from_sid(new_sid()))
    user = factory.SubFactory(UserFactory)
    created_at = factory.LazyFunction(timezone.now)
    authenticated_at = factory.LazyAttribute(
        lambda session: session.created_at if session.user else None
    )
    last_seen_at = factory.LazyAttribute(lambda session: session.created_at)
    expires_at = factory.LazyAttribute(lambda session: session.last_seen_at + timedelta(days=7))
    ip_address = "192.0.2.1"
    user_agent = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"
    browser = "Firefox 149"
    os = "Ubuntu"
    device = "desktop"


def browser(user: Any = None, **meta: Any) -> Client:
    """Return a browser of its own, in which `user` is logged in through the login page."""
    client = Client(**meta)
    if user is not None:
        response = client.post("/login/", {"username": user.get_username(), "password": PASSWORD})
        assert response.status_code == 302, "the login was refused"
    return client
