"""The users that the admin's lists name: found in their own database, by one query a page."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_jwtsession.admin.people import load_people
from django_jwtsession.models import Session, SessionEvent

from ..factories import SessionFactory, UserFactory, browser
from .test_sessions import text

SESSIONS = "/admin/django_jwtsession/session/"
HISTORY = "/admin/django_jwtsession/sessionevent/"


@pytest.mark.processes
def test_every_page_works_where_users_live_in_another_database() -> None:
    command = [sys.executable, "-m", "tests.admin.split_site"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) > 20
    assert {line.split()[0] for line in lines} == {"200", "302"}
    assert [line for line in lines if line.startswith("302")] == [
        f"302 {SESSIONS}",
        lines[-1],
    ]


@pytest.mark.processes
@pytest.mark.parametrize("engine", ["cookie", "db", "hybrid"])
def test_users_are_deleted_in_every_way_from_another_database_and_their_sessions_end(
    engine: str,
) -> None:
    command = [sys.executable, "-m", "tests.admin.split_site", engine]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    ways = ["user", "queryset", "admin's page", "admin's action"]
    assert ran.stdout.splitlines() == [f"{way} 302 0" for way in ways]


@pytest.mark.django_db
def test_people_of_all_columns_are_found_by_one_query_and_the_deleted_are_nobody(
    db_engine: None, django_assert_num_queries: Any
) -> None:
    ada, grace, gone = UserFactory(), UserFactory(), UserFactory()
    events = [
        SessionEvent(kind="revoked", user=ada, actor=grace),
        SessionEvent(kind="revoked", user=gone, actor=ada),
        SessionEvent(kind="revoked"),
    ]
    events = [SessionEvent(user_id=e.user_id, actor_id=e.actor_id) for e in events]
    User.objects.filter(pk=gone.pk)._raw_delete("default")
    with django_assert_num_queries(1):
        load_people(events, ("user", "actor"))
        found = [(event.user, event.actor) for event in events]
    assert found == [(ada, grace), (None, ada), (None, None)]
    with django_assert_num_queries(0):
        load_people([], ("user",))
        load_people([Session()], ("user",))


@pytest.mark.django_db
def test_no_statement_of_the_lists_names_both_tables(db_engine: None) -> None:
    root = browser(UserFactory(username="root", admin=True))
    SessionFactory(user__username="ada")
    pages = [path + q for path in (SESSIONS, HISTORY) for q in ("", "?q=ada", "?user_is=staff")]
    with CaptureQueriesContext(connection) as queries:
        assert [root.get(page).status_code for page in pages] == [200] * len(pages)
    both = [q["sql"] for q in queries if "auth_user" in q["sql"] and "jwtsession" in q["sql"]]
    assert both == []


@pytest.mark.django_db
def test_pages_of_a_session_and_of_an_event_link_their_user(db_engine: None) -> None:
    root = browser(UserFactory(username="root", admin=True))
    ada = UserFactory(username="ada")
    row = SessionFactory(user=ada)
    event = SessionEvent.objects.create(kind="login", user=ada)
    link = f'<a href="/admin/auth/user/{ada.pk}/change/">ada</a>'
    for url in (f"{SESSIONS}{row.pk}/change/", f"{HISTORY}{event.pk}/change/"):
        assert link in root.get(url).content.decode()


@pytest.mark.django_db
def test_who_may_not_see_users_sees_their_name_alone(db_engine: None) -> None:
    user = UserFactory(staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename="view_session"))
    staff: Client = browser(user)
    page = staff.get(f"{SESSIONS}{SessionFactory(user__username='ada').pk}/change/")
    assert "ada" in text(page)
    assert "/auth/user/" not in page.content.decode()
