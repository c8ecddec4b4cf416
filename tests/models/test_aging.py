"""IP_AGE: after it an address is its prefix, in sessions and in the history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_jwtsession.conf import problems
from django_jwtsession.models import Session, SessionEvent, aging
from django_jwtsession.models.aging import age_some_addresses

from ..factories import SessionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("db_engine")]

DAY = 86400


@pytest.fixture(autouse=True)
def nothing_reached(settings: Any) -> None:
    aging._reached.clear()
    settings.JWTSESSION = {"IP_AGE": 7 * DAY}


def event(days: float, address: str | None, **values: Any) -> SessionEvent:
    at = timezone.now() - timedelta(days=days)
    found: SessionEvent = SessionEvent.objects.create(
        **{"kind": "login", **values}, created_at=at, ip_address=address
    )
    return found


def addresses() -> list[Any]:
    return list(SessionEvent.objects.order_by("pk").values_list("ip_address", flat=True))


@pytest.mark.parametrize("batch", [1, 2, 200])
def test_old_addresses_become_their_prefix_and_young_ones_stay(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aging, "BATCH", batch)
    for days, address in (
        (30, "192.0.2.7"),
        (30, "2001:db8:85a3:8d3::1"),
        (9, None),
        (8, "198.51.100.0"),
        (7.1, "203.0.113.9"),
        (6.9, "203.0.113.9"),
    ):
        event(days, address)
    call_command("clearsessions")
    cut = ["192.0.2.0", "2001:db8:85a3::", None, "198.51.100.0", "203.0.113.0", "203.0.113.9"]
    assert addresses() == cut
    call_command("clearsessions")
    assert addresses() == cut


def test_many_events_of_one_moment_are_all_cut(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    monkeypatch.setattr(aging, "BATCH", 2)
    for number in range(7):
        event(8, f"192.0.{number}.7")
    call_command("clearsessions")
    assert addresses() == [f"192.0.{number}.0" for number in range(7)]


def test_both_addresses_of_a_copied_cookie_are_cut() -> None:
    detail = {"ip_address": "198.51.100.7", "user_agent": "x"}
    one = event(8, "192.0.2.0", kind="token_reuse", detail=detail)
    call_command("clearsessions")
    one.refresh_from_db()
    assert one.detail == {"ip_address": "198.51.100.0", "user_agent": "x"}
    assert one.ip_address == "192.0.2.0"


def test_sessions_are_cut_once_they_have_not_been_seen_for_so_long() -> None:
    now = timezone.now()
    old = SessionFactory(last_seen_at=now - timedelta(days=8), expires_at=now + timedelta(days=9))
    new = SessionFactory(last_seen_at=now - timedelta(days=6))
    call_command("clearsessions")
    found = dict(Session.objects.values_list("pk", "ip_address"))
    assert found == {old.pk: "192.0.2.0", new.pk: "192.0.2.1"}


def test_nothing_is_cut_without_the_setting(settings: Any, django_assert_num_queries: Any) -> None:
    settings.JWTSESSION = {}
    event(80, "192.0.2.7")
    call_command("clearsessions")
    with django_assert_num_queries(0):
        age_some_addresses(Session, 100)
    assert addresses() == ["192.0.2.7"]


def test_logins_cut_what_has_become_too_old_meanwhile(clock: Any) -> None:
    for days in (20, 8, 8, 8, 6.99):
        event(days, "192.0.2.7")
    age_some_addresses(Session, 2)
    assert addresses() == ["192.0.2.7", "192.0.2.0", "192.0.2.0", "192.0.2.7", "192.0.2.7"]
    age_some_addresses(Session, 2)
    clock.shift(3600)
    age_some_addresses(Session, 2)
    # What is older than a week beyond IP_AGE is left to clearsessions.
    assert addresses() == ["192.0.2.7", *["192.0.2.0"] * 4]


@pytest.mark.parametrize("value", [0, -1, "7 days", True])
def test_setting_is_checked(value: Any) -> None:
    assert len(problems({"IP_AGE": value})) == 1
    assert problems({"IP_AGE": timedelta(days=7)}) == problems({"IP_AGE": None}) == []
