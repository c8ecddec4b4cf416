"""Ending all sessions that the filters find: counted, confirmed by their number, in batches."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone, translation
from django.utils.formats import date_format

from django_jwtsession.admin import ending, where
from django_jwtsession.models import Session, SessionEvent

from ..factories import SessionFactory, UserFactory, browser
from .test_sessions import text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("db_engine")]

SESSIONS = "/admin/django_jwtsession/session/"
WHERE = f"{SESSIONS}end-where/"


@pytest.fixture
def staff(clock: Any) -> Client:
    return browser(UserFactory(username="root", admin=True))


def hidden(response: Any) -> dict[str, str]:
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode())
    return {name: unescape(value) for name, value in fields if name != "csrfmiddlewaretoken"}


def confirm(client: Client, query: str = "", **data: str) -> Any:
    """Type the number that the page shows."""
    asked = client.get(WHERE + query)
    fields = hidden(asked)
    return client.post(WHERE + query, fields | {"typed": fields["count"]} | data)


def left() -> set[Any]:
    return set(Session.objects.exclude(user__username="root").values_list("pk", flat=True))


def test_count_and_filters_stand_first_and_nothing_ends(staff: Client) -> None:
    SessionFactory.create_batch(3, os="iOS")
    kept = SessionFactory(os="Windows")
    page = text(staff.get(f"{WHERE}?os=iOS&q=user"))
    assert "operating system: iOS" in page
    assert "search: user" in page
    assert "Sessions that will end, without your own: 3" in page
    assert "Nothing is filtered" in text(staff.get(WHERE))
    assert f'href="{WHERE}?os=iOS"' in staff.get(f"{SESSIONS}?os=iOS").content.decode()
    assert len(left()) == 4
    assert kept.pk in left()


def test_filters_are_said_in_the_language_of_the_page_each_once(staff: Client) -> None:
    row = SessionFactory(last_seen_at=timezone.now())
    seen = timezone.localtime(row.last_seen_at)
    parts = "&".join(
        f"last_seen_at__{part}={getattr(seen, part)}" for part in ("year", "month", "day")
    )
    query = f"?q=user&o=1&user__exact={row.user_id}&{parts}"
    with translation.override("de"):
        page = staff.get(WHERE + query).content.decode()
        day = date_format(seen)
    found = re.findall(r"<li>([^<]*): <strong>([^<]*)</strong></li>", page)
    assert found == [
        ("Suche", "user"),
        ("letzte Aktivität", day),
        ("Benutzer", str(row.user_id)),
    ]
    month = staff.get(f"{WHERE}?last_seen_at__year={seen.year}&last_seen_at__month={seen.month}")
    assert f"last seen: {date_format(seen, 'YEAR_MONTH_FORMAT')}" in text(month)
    assert "month: 5" in text(staff.get(f"{WHERE}?last_seen_at__month=5"))


def test_what_matches_ends_once_its_number_was_typed(staff: Client) -> None:
    SessionFactory.create_batch(3, os="iOS")
    kept = SessionFactory(os="Windows")
    for typed in ("", "2", "33", "three"):
        response = staff.post(f"{WHERE}?os=iOS", {"count": "3", "typed": typed})
        assert "nothing was ended" in text(response)
    assert len(left()) == 4
    response = confirm(staff, "?os=iOS")
    assert response.headers["Location"] == f"{SESSIONS}?os=iOS"
    assert left() == {kept.pk}
    assert "3 sessions were ended." in text(staff.get(SESSIONS))
    events = SessionEvent.objects.filter(kind="revoked")
    assert {event.actor_id for event in events} == {User.objects.get(username="root").pk}
    assert {event.detail["reason"] for event in events} == {"admin"}


@pytest.mark.requirement("ASVS 7.4.5")
def test_everybodys_end_but_ones_own(staff: Client) -> None:
    root = User.objects.get(username="root")
    phone = browser(root)
    SessionFactory.create_batch(2)
    SessionFactory(user=None)
    confirm(staff)
    assert left() == set()
    assert phone.get("/closed/").status_code == staff.get("/closed/").status_code == 200


def test_ones_own_end_as_well_where_that_is_asked_for(staff: Client) -> None:
    phone = browser(User.objects.get(username="root"))
    SessionFactory()
    confirm(staff, end_own="1")
    assert not Session.objects.exists()
    assert phone.get("/closed/").status_code == staff.get("/closed/").status_code == 302


def test_own_session_that_no_filter_finds_goes_on(staff: Client) -> None:
    SessionFactory(os="iOS")
    mine = SessionFactory(os="iOS", user=User.objects.get(username="root"))
    confirm(staff, "?os=iOS", end_own="1")
    assert not Session.objects.filter(pk=mine.pk).exists()
    assert staff.get("/closed/").status_code == 200


def test_batches_follow_each_other_and_say_how_far_they_are(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, "BATCH", 2)
    SessionFactory.create_batch(5)
    response = confirm(staff)
    for done in (2, 4):
        assert f"{done} of 5 sessions are ended" in text(response)
        assert len(left()) == 5 - done
        response = staff.post(WHERE, hidden(response))
    assert response.headers["Location"] == SESSIONS
    assert left() == set()


def test_run_is_stopped_and_what_is_left_goes_on(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, "BATCH", 2)
    SessionFactory.create_batch(5)
    fields = hidden(confirm(staff))
    staff.post(WHERE, fields | {"stop": "1"})
    assert len(left()) == 3
    assert "Stopped: 2 sessions were ended." in text(staff.get(SESSIONS))


def test_sessions_that_begin_after_the_confirmation_go_on(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, "BATCH", 2)
    SessionFactory.create_batch(2)
    fields = hidden(confirm(staff))
    new = SessionFactory(created_at=timezone.now() + timedelta(seconds=1))
    staff.post(WHERE, fields)
    assert left() == {new.pk}


def test_run_outlives_the_fresh_login_that_it_began_with(
    staff: Client, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, "BATCH", 1)
    SessionFactory.create_batch(3)
    response = confirm(staff)
    clock.shift(301)
    assert "2 of 3" in text(staff.post(WHERE, hidden(response)))
    assert "confirm-login" in staff.get(WHERE).headers["Location"]
    data = {"count": "1", "typed": "1"}
    assert "confirm-login" in staff.post(WHERE, data).headers["Location"]
    assert len(left()) == 1


def test_run_of_other_filters_another_session_or_nobody_goes_nowhere(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, "BATCH", 1)
    SessionFactory.create_batch(3)
    fields = hidden(confirm(staff))
    other = browser(UserFactory(admin=True))
    for client, query, run in (
        (staff, "?os=Ubuntu", fields["run"]),
        (other, "", fields["run"]),
        (staff, "", fields["run"][:-2]),
    ):
        before = len(left())
        assert "nothing was ended" in text(client.post(WHERE + query, {"run": run}))
        assert len(left()) == before


@pytest.mark.parametrize("permissions", [("view_session",), ("revoke_session",), ()])
def test_page_takes_both_permissions(permissions: tuple[str, ...]) -> None:
    user = UserFactory(staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = browser(user)
    row = SessionFactory()
    assert client.get(WHERE).status_code == 403
    assert client.post(WHERE, {"count": "1", "typed": "1"}).status_code == 403
    assert row.pk in left()
    if "view_session" in permissions:
        assert "end-where" not in client.get(SESSIONS).content.decode()


def test_filters_that_make_no_sense_end_nothing(staff: Client) -> None:
    SessionFactory()
    response = staff.post(f"{WHERE}?user__exact=x", {"count": "1", "typed": "1"})
    assert response.headers["Location"] == WHERE
    assert len(left()) == 1


def test_action_on_more_than_one_request_can_end_leads_here(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_MOST_AT_ONCE", 2)
    rows = SessionFactory.create_batch(3, os="iOS")
    data = {"action": "end_sessions", "select_across": "1", "_selected_action": str(rows[0].pk)}
    response = staff.post(f"{SESSIONS}?os=iOS", data)
    assert response.headers["Location"] == f"{WHERE}?os=iOS"
    assert len(left()) == 3


def test_more_than_is_counted_is_confirmed_by_what_is_counted(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, "MOST_COUNTED", 2)
    SessionFactory.create_batch(4)
    assert "without your own: 2+" in text(staff.get(WHERE))
    confirm(staff)
    assert left() == set()
