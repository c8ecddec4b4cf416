"""Years, months and days above the admin's lists."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_jwtsession.models import Session, SessionEvent

from ..factories import SessionFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cookie_engine")]

SESSIONS = "/admin/django_jwtsession/session/"
HISTORY = "/admin/django_jwtsession/sessionevent/"
NEVER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def staff(settings: Any) -> Client:
    """A browser whose own session is no row, and one row that was seen in March 2026."""
    settings.TIME_ZONE = "UTC"
    client = Client()
    client.force_login(UserFactory(admin=True))
    seen(2026, 3, 9, user=User.objects.get())
    return client


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def seen(*parts: int, **values: Any) -> Session:
    found: Session = SessionFactory(last_seen_at=at(*parts), expires_at=NEVER, **values)
    return found


def offered(client: Client, url: str, query: str = "") -> dict[str, str]:
    """Return the links above a list: what they say and where they lead."""
    response = client.get(url + query)
    assert response.status_code == 200, response
    nav = re.search(r'<nav class="toplinks"[^>]*>(.*?)</nav>', response.content.decode(), re.DOTALL)
    if nav is None:
        return {}
    links = re.findall(r'href="([^"]*)"[^>]*>\s*(?:&lsaquo; )?([^<]+)<', nav[1])
    return {title: unescape(link) for link, title in links}


def found(client: Client, url: str, query: str) -> set[Any]:
    return set(client.get(url + query).context["cl"].result_list)


def test_years_lead_to_months_and_those_to_days(staff: Client) -> None:
    wanted, other = seen(2025, 11, 5), seen(2024, 12, 24)
    years = offered(staff, SESSIONS)
    assert list(years) == ["2024", "2025", "2026"]
    assert years["2025"] == "?last_seen_at__year=2025"
    assert found(staff, SESSIONS, years["2025"]) == {wanted}
    assert list(offered(staff, SESSIONS, years["2024"])) == ["All dates", "December 2024"]
    seen(2025, 9, 1)

    months = offered(staff, SESSIONS, years["2025"])
    assert list(months) == ["All dates", "September 2025", "October 2025", "November 2025"]
    assert months["All dates"] == "?"
    seen(2025, 11, 3)

    days = offered(staff, SESSIONS, months["November 2025"])
    assert list(days) == ["2025", "November 3", "November 4", "November 5"]
    assert days["2025"] == years["2025"]
    assert found(staff, SESSIONS, days["November 5"]) == {wanted}
    assert found(staff, SESSIONS, days["November 4"]) == set()

    assert list(offered(staff, SESSIONS, days["November 5"])) == ["November 2025"]
    assert other not in found(staff, SESSIONS, months["November 2025"])


def test_list_of_one_year_begins_with_its_months_and_of_one_month_with_its_days(
    staff: Client,
) -> None:
    assert list(offered(staff, SESSIONS)) == ["March 9"]
    seen(2026, 3, 7)
    days = offered(staff, SESSIONS)
    assert list(days) == ["March 7", "March 8", "March 9"]
    assert days["March 7"] == "?last_seen_at__day=7&last_seen_at__month=3&last_seen_at__year=2026"
    seen(2026, 1, 31)
    assert list(offered(staff, SESSIONS)) == ["January 2026", "February 2026", "March 2026"]


def test_dates_keep_the_other_filters_and_follow_them(staff: Client) -> None:
    seen(2024, 2, 29, os="iOS")
    links = offered(staff, SESSIONS, "?os=iOS")
    assert list(links) == ["February 29"]
    assert "os=iOS" in links["February 29"]


def test_list_without_rows_offers_no_dates_and_an_empty_year_the_way_back(staff: Client) -> None:
    assert offered(staff, SESSIONS, "?os=ChromeOS") == {}
    assert list(offered(staff, SESSIONS, "?last_seen_at__year=1999")) == ["All dates"]


def test_dates_are_those_of_the_sites_time_zone(staff: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    new_year = seen(2025, 12, 31, 16)
    assert list(offered(staff, SESSIONS)) == ["January 2026", "February 2026", "March 2026"]
    query = "?last_seen_at__year=2026&last_seen_at__month=1"
    assert found(staff, SESSIONS, query) == {new_year}
    assert list(offered(staff, SESSIONS, query)) == ["2026", "January 1"]


def test_history_has_dates_as_well(staff: Client) -> None:
    SessionEvent.objects.all().delete()
    old = SessionEvent.objects.create(kind="logout", created_at=at(2026, 9, 30))
    SessionEvent.objects.create(kind="logout", created_at=at(2026, 11, 1))
    months = offered(staff, HISTORY)
    assert list(months) == ["September 2026", "October 2026", "November 2026"]
    assert found(staff, HISTORY, months["September 2026"]) == {old}


def test_no_query_looks_at_all_dates(staff: Client) -> None:
    for day in range(1, 20):
        seen(2025, 5, day)
    for query in ("", "?last_seen_at__year=2025", "?last_seen_at__year=2025&last_seen_at__month=5"):
        with CaptureQueriesContext(connection) as queries:
            staff.get(SESSIONS + query)
        statements = [q["sql"] for q in queries]
        assert len([sql for sql in statements if "jwtsession_session" in sql]) == 4, query
        assert not any("DISTINCT" in sql or "MIN(" in sql for sql in statements)
        assert sum(sql.endswith("LIMIT 1") for sql in statements) == 2


@pytest.mark.skipif(connection.vendor != "sqlite", reason="asks SQLite for its plan")
def test_dates_and_lines_come_through_the_index(staff: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        staff.get(SESSIONS)
        staff.get(HISTORY)
    ordered = [q["sql"] for q in queries if "ORDER BY" in q["sql"]]
    assert len(ordered) == 6
    with connection.cursor() as cursor:
        for sql in ordered:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(str(row[3]) for row in cursor.fetchall())
            assert "USING INDEX" in plan or "USING COVERING INDEX" in plan, sql
            assert "TEMP B-TREE FOR ORDER BY" not in plan.replace("LAST TERM OF ", ""), sql


@pytest.mark.parametrize(
    "query",
    [
        "last_seen_at__year=x",
        "last_seen_at__year=0",
        "last_seen_at__year=1",
        "last_seen_at__year=9999",
        "last_seen_at__year=-5",
        "last_seen_at__year=99999999999999999999",
        "last_seen_at__year=2026&last_seen_at__month=13",
        "last_seen_at__year=2026&last_seen_at__month=2&last_seen_at__day=30",
        "last_seen_at__year=",
    ],
)
def test_dates_that_are_none_lead_back_to_the_list(
    staff: Client, settings: Any, query: str
) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    assert staff.get(f"{SESSIONS}?{query}").headers["Location"] == f"{SESSIONS}?e=1"


def test_user_beyond_all_ids_is_no_error(staff: Client) -> None:
    for page in (SESSIONS, SESSIONS.replace("session/", "sessionevent/")):
        response = staff.get(f"{page}?user__exact={10**30}")
        # SQLite cannot compare with it, the others find nothing.
        assert response.headers.get("Location", "") in ("", f"{page}?e=1")


def test_filtering_by_session_data_is_refused(staff: Client) -> None:
    user = User.objects.get()
    for lookup in ("data", "data__contains", "data__gt", "data__isnull"):
        assert staff.get(f"{SESSIONS}?{lookup}=1").status_code == 400
    assert found(staff, SESSIONS, f"?user__exact={user.pk}") == set(Session.objects.all())
