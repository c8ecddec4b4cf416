"""A session of the engine `cookie` stays ended for as long as any token of it is good."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import login, logout
from django.db import transaction
from django.test import AsyncClient, Client
from django.utils import timezone

from django_jwtsession.models import Revocation
from django_jwtsession.revocation import feed, revoke_user_sessions
from django_jwtsession.revocation.entries import Entry
from django_jwtsession.revocation.logins import Login, ended_of
from tests import urls_engines
from tests.helpers import asgi

from ..conftest import DAY, WEEK, Visit, cookie, write

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("cookie_engine", "clock"),
]
LONG = 30 * DAY


def who(request: Any) -> str:
    return str(request.user.pk)


def lives(seconds: Any) -> Any:
    """Return a view that has the session live for so long."""
    return lambda request: request.session.set_expiry(seconds)


def copy_of(client: Client) -> Client:
    copy = Client()
    copy.cookies["sessionid"] = cookie(client)
    return copy


def is_let_in_later(copy: Client, visit: Visit, user: Any, clock: Any, days: int) -> bool:
    """Tell whether a copy opens the session once the feed has forgotten what it may forget."""
    clock.shift(days * DAY)
    Revocation.objects.exclude(pk__in=Revocation.objects.in_force()).delete()
    feed.forget()
    for line in Revocation.objects.all():  # as a process that starts reads it
        feed.get_feed().add(Entry("s", line.name, line.expires_at, line.reason, epoch=line.epoch))
    return bool(visit(who, by=copy).content == str(user.pk).encode())


ENDS = {
    "logout": logout,
    "flush": lambda request: request.session.flush(),
    "delete": lambda request: request.session.delete(),
    "proof": lambda request: request.session.prove(),
    "login again": lambda request: login(request, request.user),
    "new key": lambda request: request.session.cycle_key(),
    "others": lambda request: revoke_user_sessions(request.user, keep=request.session) and None,
}


@pytest.fixture(params=ENDS)
def end(request: pytest.FixtureRequest) -> Any:
    return ENDS[request.param]


@pytest.fixture
def owner(user: Any, client: Client) -> Client:
    client.force_login(user)
    return client


def use(copy: Client, visit: Visit, clock: Any) -> None:
    """Be more active than the owner for ten days."""
    for day in range(10):
        clock.shift(DAY)
        visit(write(day=day), by=copy)


def test_copy_that_lives_longer_by_being_used_stays_out(
    owner: Client, user: Any, visit: Visit, clock: Any, end: Any
) -> None:
    visit(lives(LONG))
    copy = copy_of(owner)
    use(copy, visit, clock)
    visit(end)
    assert not is_let_in_later(copy, visit, user, clock, days=32)


@pytest.mark.parametrize("longer", [lives(LONG), lives(timedelta(days=30))], ids=["age", "delta"])
def test_copy_that_was_made_to_live_longer_stays_out(
    owner: Client, user: Any, visit: Visit, clock: Any, end: Any, longer: Any
) -> None:
    copy = copy_of(owner)
    visit(longer, by=copy)
    visit(end)
    assert not is_let_in_later(copy, visit, user, clock, days=16)


def test_copy_from_before_the_session_was_made_shorter_stays_out(
    owner: Client, user: Any, visit: Visit, clock: Any, end: Any
) -> None:
    visit(lives(LONG))
    copy = copy_of(owner)
    visit(lives(2 * DAY))
    for day in range(10):
        clock.shift(DAY)
        visit(write(day=day))
        visit(write(day=day), by=copy)
    visit(end)
    assert not is_let_in_later(copy, visit, user, clock, days=22)


def test_copy_with_a_fixed_end_stays_out(
    owner: Client, user: Any, visit: Visit, clock: Any
) -> None:
    copy = copy_of(owner)
    visit(lives(timezone.now() + timedelta(days=40)), by=copy)
    visit(logout)
    assert not is_let_in_later(copy, visit, user, clock, days=20)


def test_logout_by_a_cookie_of_before_a_proof_ends_what_lives_long(
    owner: Client, user: Any, visit: Visit, clock: Any
) -> None:
    visit(lives(LONG))
    earlier = copy_of(owner)
    visit(lambda request: request.session.prove())
    copy = copy_of(owner)
    use(copy, visit, clock)
    visit(logout, by=earlier)
    assert not is_let_in_later(copy, visit, user, clock, days=32)


def test_usual_session_is_told_of_for_the_usual_time_and_no_longer(
    owner: Client, visit: Visit, clock: Any
) -> None:
    """Else a site with many logouts would have six times as many lines."""
    visit(lives(3600))
    visit(logout)
    [line] = Revocation.objects.exclude(reason="epoch")
    assert line.expires_at == timezone.now().timestamp() + WEEK


def test_login_that_is_to_last_costs_no_more_than_another(
    user: Any, visit: Visit, django_assert_num_queries: Any
) -> None:
    def log_in(request: Any) -> None:
        login(request, user)
        request.session.set_expiry(LONG)

    visit(write(x=1))
    visit(log_in)
    assert not Revocation.objects.exclude(reason="epoch")
    with django_assert_num_queries(0):
        visit(write(x=2))
        visit(lives(LONG + 1))


def test_async_view_tells_of_it_as_well(owner: Client, user: Any, visit: Visit) -> None:
    async def lives_long(request: Any) -> str:
        await request.session.aset_expiry(LONG)
        return "written"

    browser = AsyncClient()
    browser.cookies["sessionid"] = cookie(owner)
    urls_engines.Page.view = staticmethod(lives_long)
    asgi.run(browser.get, "/async/")
    assert Revocation.objects.filter(reason="age").count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_is_told_once_more_where_that_was_rolled_back(owner: Client, visit: Visit) -> None:
    def in_vain(request: Any) -> None:
        request.session.set_expiry(LONG)
        with suppress(ZeroDivisionError), transaction.atomic():
            request.session.save()
            assert 1 / 0

    visit(in_vain)
    assert Revocation.objects.filter(reason="age").count() == 1
    visit(write(x=1))
    assert Revocation.objects.filter(reason="age").count() == 1


def test_session_that_is_to_last_is_in_the_lists_as_before(
    owner: Client, user: Any, visit: Visit
) -> None:
    visit(lives(LONG))
    session: Any = owner.session
    assert not ended_of([Login(session.sid, str(user.pk), session.auth_time)])
    assert visit(who).content == str(user.pk).encode()
