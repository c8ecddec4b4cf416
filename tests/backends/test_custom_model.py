"""A project's own session model: get_model_class() and create_model_instance(), as Django's."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from django_jwtsession.models import Session

from ..conftest import DAY, Visit, read, write
from ..models import AccountSession, SessionStore

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("custom_engine")]


@pytest.fixture
def custom_engine(settings: Any) -> None:
    settings.SESSION_ENGINE = "tests.models"


def test_sessions_are_rows_of_the_project_s_model(visit: Visit) -> None:
    visit(write(x=1))
    assert AccountSession.objects.get().get_decoded() == {"x": 1}
    assert not Session.objects.exists()
    assert visit(read).content == b"[('x', 1)]"


def test_own_column_follows_each_save(visit: Visit, user: Any, client: Client) -> None:
    visit(write(x=1))
    assert AccountSession.objects.get().account_id is None
    visit(write(_auth_user_id="42"))
    assert AccountSession.objects.get().account_id == 42
    visit(write(_auth_user_id="43"))
    assert AccountSession.objects.get().account_id == 43
    assert AccountSession.objects.filter(account_id=43).count() == 1


def test_write_stays_one_select_and_one_update(
    visit: Visit, django_assert_num_queries: Any
) -> None:
    visit(write(x=1))
    with django_assert_num_queries(2):
        visit(write(x=2))


def test_cookie_age_of_the_store_is_used(visit: Visit, clock: Any) -> None:
    assert visit(write(x=1)).cookies["sessionid"]["max-age"] == DAY
    clock.shift(DAY + 1)
    assert visit(read).content == b"[]"


def test_login_and_logout(visit: Visit, client: Client, user: Any) -> None:
    client.force_login(user)
    row = AccountSession.objects.get()
    assert (row.user, row.account_id) == (user, user.pk)
    client.logout()
    assert not AccountSession.objects.exists()


def test_expired_rows_of_the_model_are_cleared(clock: Any) -> None:
    session = SessionStore()
    session.set_expiry(10)
    session.save()
    clock.shift(20)
    call_command("clearsessions")
    assert not AccountSession.objects.exists()


def test_store_clears_its_own_model_whatever_the_site_s_engine_is(
    clock: Any, settings: Any
) -> None:
    session = SessionStore()
    session.set_expiry(10)
    session.save()
    clock.shift(20)
    settings.SESSION_ENGINE = "django_jwtsession.backends.db"
    SessionStore.clear_expired()
    assert not AccountSession.objects.exists()


def test_expired_rows_of_the_model_are_cleared_at_a_login(
    clock: Any, visit: Visit, client: Client, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_jwtsession.models.clearing.in_test_environment", lambda: False)
    monkeypatch.setattr("django_jwtsession.models.clearing._next_at_login", 0.0)
    monkeypatch.setattr("django_jwtsession.models.clearing._reached", {})
    session = SessionStore()
    session.set_expiry(10)
    session.save()
    clock.shift(20)
    client.force_login(user)
    assert AccountSession.objects.get().user == user
