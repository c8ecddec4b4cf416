"""How the admin's lists find their rows: what tests/services/test_plans.py sees the database do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_jwtsession.admin import SessionAdmin
from django_jwtsession.admin import lists as admin_lists
from django_jwtsession.admin.lists import CappedPaginator, values_in_use
from django_jwtsession.models import Session, SessionEvent

from ..factories import SessionFactory, UserFactory, browser
from .test_sessions import text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("db_engine")]

SESSIONS = "/admin/django_jwtsession/session/"
HISTORY = "/admin/django_jwtsession/sessionevent/"


@pytest.fixture
def staff() -> Client:
    return browser(UserFactory(username="root", admin=True))


def listed(client: Client, query: str) -> list[Any]:
    return list(client.get(SESSIONS + query).context["cl"].result_list)


def asked(client: Client, url: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in queries]


@pytest.fixture
def browsers() -> list[str]:
    names = ["Edge 150", "Firefox", "Firefox 148", "Firefox 149", "Firefox 149", "Firefoxy 1"]
    for name in names:
        SessionFactory(browser=name)
    return sorted(set(names))


def test_values_in_use_are_read_from_the_index_that_begins_with_them(browsers: list[str]) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert sorted(values_in_use(Session.objects.all(), "browser") or ()) == browsers
    assert len(queries) == 1
    assert values_in_use(Session.objects.filter(pk=None), "os") == values_in_use(
        Session.objects.all(), "os"
    )
    assert values_in_use(SessionEvent.objects.all(), "browser") == []
    assert values_in_use(Session.objects.all(), "user_agent") is None


@pytest.mark.parametrize("most", [1000, 5, 4, 1])
def test_browser_filter_finds_all_versions_however_many_browsers_there_are(
    staff: Client, browsers: list[str], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_lists, "_MAX_VALUES", most)
    found = listed(staff, "?browser=Firefox")
    wanted = ["Firefox", "Firefox 148", "Firefox 149", "Firefox 149"]
    assert sorted(session.browser for session in found) == wanted
    assert listed(staff, "?browser=Opera") == []


def test_browser_that_nobody_has_asks_for_no_session(staff: Client, browsers: list[str]) -> None:
    about = [sql for sql in asked(staff, f"{SESSIONS}?browser=Opera") if "browser" in sql]
    assert len([sql for sql in about if "expires_at" in sql]) <= 1  # one's own


@pytest.mark.parametrize("most", [1000, 0])
def test_staff_are_found_once_a_page_or_by_a_subquery_where_they_are_many(
    staff: Client, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_lists, "_MAX_STAFF_FOUND", most)
    other = SessionFactory()
    SessionFactory(user=None)
    admins = list(Session.objects.filter(user__username="root"))
    assert listed(staff, "?user_is=staff") == admins
    assert listed(staff, "?user_is=other") == [other]
    looks = [sql for sql in asked(staff, f"{SESSIONS}?user_is=staff") if '"is_staff"' in sql]
    if connection.vendor == "postgresql" and most:
        assert len([sql for sql in looks if "LIMIT 1001" in sql]) == 1


def test_what_is_an_id_or_an_address_is_also_looked_up_as_a_whole_name(staff: Client) -> None:
    wanted = SessionFactory(user__username="ae6f3a2c-6b5e-4d5c-9c55-0a1b2c3d4e5f")
    address = SessionFactory(user__username="192.0.2.200", ip_address="192.0.2.7")
    assert listed(staff, "?q=ae6f3a2c-6b5e-4d5c-9c55-0a1b2c3d4e5f") == [wanted]
    assert listed(staff, "?q=192.0.2.200") == [address]
    for term in ("192.0.2.7", str(wanted.pk), wanted.sid):
        assert not [sql for sql in asked(staff, f"{SESSIONS}?q={term}") if " LIKE " in sql.upper()]


def test_name_of_22_letters_is_a_name(staff: Client) -> None:
    wanted = SessionFactory(user__username="a-name-of-22-letters-AQ")
    assert listed(staff, "?q=a-name-of-22-letters-A") == [wanted]


@pytest.mark.parametrize(("query", "way"), [("", "DESC"), ("?o=-6", "DESC"), ("?o=6", "ASC")])
def test_order_is_that_of_an_index_from_one_end_or_the_other(
    staff: Client, query: str, way: str
) -> None:
    SessionFactory.create_batch(2)
    [lines] = [
        sql for sql in asked(staff, SESSIONS + query) if " ORDER BY " in sql and "_agent" in sql
    ]
    order = lines.partition(" ORDER BY ")[2].removesuffix(" LIMIT 100")
    assert re.findall(r"(\w+)[`\"] (ASC|DESC)", order) == [
        ("last_seen_at", way),
        ("expires_at", way),
        ("id", way),
    ]


def test_first_date_is_not_looked_for_behind_what_has_expired(staff: Client) -> None:
    now = timezone.now()
    SessionFactory(
        last_seen_at=datetime(2025, 5, 1, tzinfo=UTC), expires_at=now - timedelta(days=30)
    )
    page = staff.get(SESSIONS).content.decode()
    assert "last_seen_at__year=2025" in page
    assert listed(staff, "?last_seen_at__year=2025") == []


def test_pages_follow_each_other(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    every = [*SessionFactory.create_batch(6), Session.objects.get(user__username="root")]
    monkeypatch.setattr(SessionAdmin, "list_per_page", 3)
    pages = [listed(staff, f"?p={number}") for number in (1, 2, 3)]
    assert [len(page) for page in pages] == [3, 3, 1]
    found = [session for page in pages for session in page]
    assert {session.pk for session in found} == {session.pk for session in every}
    assert found == sorted(found, key=lambda session: session.last_seen_at, reverse=True)


def test_pages_are_counted_exactly_below_the_cap(staff: Client) -> None:
    SessionFactory.create_batch(5)
    SessionFactory(expires_at=timezone.now() - timedelta(seconds=1))
    assert staff.get(SESSIONS).context["cl"].result_count == 6
    assert User.objects.filter(username="root").exists()
    SessionEvent.objects.all().delete()
    assert staff.get(HISTORY).context["cl"].result_count == 0


@pytest.mark.parametrize("term", ["192.0.2.", "192.0.2", "192.0.2.0/24", "192.0.2.7/29"])
def test_beginning_of_an_address_finds_all_that_begin_so(staff: Client, term: str) -> None:
    wanted = SessionFactory(ip_address="192.0.2.7")
    SessionFactory(ip_address="192.0.20.7")
    SessionFactory(ip_address="192.0.1.7")
    SessionFactory(ip_address=None)
    assert listed(staff, f"?q={term}") == [wanted]
    assert not [sql for sql in asked(staff, f"{SESSIONS}?q={term}") if " LIKE " in sql.upper()]


@pytest.mark.parametrize("term", ["2001:db8:85a3:", "2001:DB8:85a3", "2001:db8:85a3::/48"])
def test_beginning_of_a_long_address_finds_it(staff: Client, term: str) -> None:
    wanted = SessionFactory(ip_address="2001:db8:85a3::8a2e:370:7334")
    SessionFactory(ip_address="2001:db8:85a4::1")
    assert listed(staff, f"?q={term}") == [wanted]
    event = SessionEvent.objects.create(kind="login", ip_address="2001:db8:85a3::1")
    assert list(staff.get(f"{HISTORY}?q={term}").context["cl"].result_list) == [event]


def test_more_than_is_counted_is_said_as_such(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CappedPaginator, "cap", 4)
    SessionFactory.create_batch(2)
    assert "4+" not in text(staff.get(SESSIONS))
    SessionFactory.create_batch(3)
    for query in ("", "?os=Ubuntu"):
        page = text(staff.get(SESSIONS + query))
        assert "4+ sessions" in page
    assert "4+ results" in page


@pytest.mark.parametrize(("number", "said"), [(1, "1 session event "), (2, "2 session events ")])
def test_numbers_of_events_are_said_in_the_right_number(
    staff: Client, number: int, said: str
) -> None:
    SessionEvent.objects.all().delete()
    SessionEvent.objects.bulk_create(SessionEvent(kind="logout") for _ in range(number))
    assert said in f"{text(staff.get(HISTORY))} "


@pytest.mark.parametrize("path", [SESSIONS, HISTORY])
def test_buttons_and_boxes_of_two_lines_are_told_apart(staff: Client, path: str) -> None:
    user = UserFactory()
    browser(user), browser(user)
    hour_ago = timezone.now() - timedelta(hours=1)
    first = Session.objects.filter(user=user)[0]
    Session.objects.filter(pk=first.pk).update(authenticated_at=hour_ago)
    SessionEvent.objects.filter(sid=first.sid).update(created_at=hour_ago)
    page = staff.get(path).content.decode()
    labels = re.findall(r'aria-label="((?:End|Select): [^"]*)"', page)
    assert len(labels) > 4
    assert len(set(labels)) == len(labels)


def test_times_name_their_zone(staff: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    session = SessionFactory(created_at=at, expires_at=timezone.now() + timedelta(days=1))
    page = staff.get(f"{SESSIONS}{session.pk}/change/").content.decode()
    assert '<time datetime="2026-07-01T12:00:00+00:00">July 1, 2026, 2 p.m. CEST</time>' in page
    SessionEvent.objects.create(kind="logout", created_at=at)
    assert "July 1, 2026, 2 p.m. CEST" in staff.get(HISTORY).content.decode()
    assert 'title="July 1, 2026, 2 p.m. CEST"' in staff.get(SESSIONS).content.decode()
