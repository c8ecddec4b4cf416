"""A router that reads from a replica: what lags behind must neither log in nor log out."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from django_jwtsession.models import SessionEvent

from ..factories import PASSWORD, UserFactory, browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]


class Replica:
    """Sends reads of our tables to a database that is not there."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model._meta.app_label == "django_jwtsession" else None

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


def test_no_read_goes_to_a_replica(engine: str, settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.history.test_replica.Replica"]
    settings.JWTSESSION = {"MAX_SESSIONS_PER_USER": 2, "NEW_DEVICE_EMAIL": True}
    user = UserFactory(username="ada", admin=True)
    client = browser(user)
    for agent in ("Firefox/1", "Safari/2"):
        other = browser(user, headers={"user-agent": agent})
        other.post("/login/", {"username": "ada", "password": "wrong"})
    client = browser(user)
    pages = ["sessions/", "sessions/history/", "session/", "admin/"]
    lists = [f"admin/django_jwtsession/{name}/" for name in ("session", "sessionevent")]
    event = SessionEvent.objects.order_by("-pk")[0]
    lists += [f"{lists[1]}{event.pk}/change/", f"{lists[1]}?q=ada", f"{lists[0]}?q=192.0.2.1"]
    for page in (*pages, *lists):
        assert client.get(f"/{page}").status_code == 200, page
    client.post("/logout/")
    person = UserFactory()
    staff = browser(UserFactory(admin=True))
    browser(person)
    response = staff.post(f"/admin/auth/user/{person.pk}/delete/", {"post": "yes"})
    assert response.status_code == 302
    assert not User.objects.filter(pk=person.pk).exists()
    user.set_password(PASSWORD + "!")
    user.save()
