"""Sessions in the admin: listed per device, searched, ended."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse
from django.utils import timezone

from django_jwtsession.admin import SessionAdmin
from django_jwtsession.admin.lists import CappedPaginator
from django_jwtsession.models import Session

from .. import urls
from ..factories import SessionFactory, UserFactory, browser
from ..models import AccountSession

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

LIST = "/admin/django_jwtsession/session/"
OURS = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.db"


@pytest.fixture
def staff() -> Client:
    return browser(UserFactory(username="root", admin=True), headers={"user-agent": OURS})


def staff_with(*codenames: str) -> Client:
    user = UserFactory(staff=True)
    content_type = ContentType.objects.get_for_model(Session)
    for codename in codenames:
        permission, _ = Permission.objects.get_or_create(
            codename=codename, content_type=content_type, defaults={"name": codename}
        )
        user.user_permissions.add(permission)
    return browser(user)


def listed(client: Client, **query: str) -> set[Session]:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return set(response.context["cl"].result_list)


def end(client: Client, *sessions: Session, confirmed: bool = True, **data: str) -> Any:
    data |= {"action": "end_sessions"} | ({"confirmed": "1"} if confirmed else {})
    return client.post(LIST, data | {"_selected_action": [str(s.pk) for s in sessions]})


own_site = admin.AdminSite(name="own")
own_site.register(AccountSession, SessionAdmin)
urlpatterns = [path("own/", own_site.urls), *urls.urlpatterns]


def text(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def others() -> Any:
    return Session.objects.exclude(user__username="root")


# --- the list ------------------------------------------------------------------------------------


def test_each_device_is_a_line_with_words_address_and_times(staff: Client) -> None:
    now = timezone.now()
    SessionFactory(
        user__username="ada",
        ip_address="2001:db8::7",
        created_at=now - timedelta(days=3, hours=1),
        last_seen_at=now - timedelta(hours=2, minutes=5),
        expires_at=now + timedelta(days=6, hours=5),
    )
    page = text(staff.get(LIST))
    page = page.replace("\xa0", " ")
    assert "ada End Firefox 149 on Ubuntu 2001:db8::7 3 days ago 2 hours ago in 6 days" in page
    assert "root End Firefox 149 on Ubuntu (this session) 127.0.0.1" in page
    for head in ("User", "Device", "IP address", "Signed in", "Last seen", "Expires"):
        assert head in page


def test_own_session_alone_is_marked(staff: Client) -> None:
    SessionFactory(user=User.objects.get())
    assert text(staff.get(LIST)).count("(this session)") == 1


def test_last_seen_stands_first(staff: Client) -> None:
    now = timezone.now()
    for minutes in (5, 3, 4):
        SessionFactory(last_seen_at=now - timedelta(minutes=minutes))
    rows = staff.get(LIST).context["cl"].result_list
    assert [row.last_seen_at for row in rows] == sorted(
        (row.last_seen_at for row in rows), reverse=True
    )


def test_expired_sessions_are_none_and_not_listed(staff: Client) -> None:
    SessionFactory(expires_at=timezone.now())
    assert listed(staff) == set(Session.objects.filter(user__username="root"))


def test_anonymous_sessions_and_deleted_users_are_named_as_such(staff: Client) -> None:
    SessionFactory(user=None)
    gone = SessionFactory()
    User.objects.filter(pk=gone.user_id)._raw_delete("default")
    page = text(staff.get(LIST))
    assert "not signed in" in page
    assert f"deleted user {gone.user_id}" in page


def test_number_of_queries_does_not_grow_with_the_rows(
    staff: Client, django_assert_num_queries: Any
) -> None:
    SessionFactory.create_batch(3)
    staff.get(LIST)
    # session, user, count, rows, their users, the first and the last date
    with django_assert_num_queries(7):
        staff.get(LIST)
    SessionFactory.create_batch(40)
    with django_assert_num_queries(7):
        staff.get(LIST)


def test_no_query_counts_or_reads_the_whole_table_or_any_data(
    staff: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(SessionAdmin, "list_per_page", 2)
    SessionFactory.create_batch(5)
    with CaptureQueriesContext(connection) as queries:
        staff.get(LIST)
    # The first statement is the read of one's own session.
    about_rows = [q["sql"] for q in queries][1:]
    about_rows = [sql for sql in about_rows if "jwtsession_session" in sql]
    assert len(about_rows) == 4
    assert "COUNT(*)" in about_rows[0]
    assert "LIMIT 10001" in about_rows[0]
    assert "LIMIT 2" in about_rows[1]
    assert all(sql.endswith("LIMIT 1") for sql in about_rows[2:])
    assert not any("data" in sql.partition(" WHERE ")[0] for sql in about_rows)


def test_list_is_capped_and_says_so(staff: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(CappedPaginator, "cap", 4)
    SessionFactory.create_batch(3)
    assert "only the first" not in text(staff.get(LIST))
    SessionFactory.create_batch(3)
    response = staff.get(LIST)
    assert "only the first 4 are listed" in text(response)
    assert response.context["cl"].result_count == 4


def test_other_engines_sessions_are_said_to_be_elsewhere(staff: Client, settings: Any) -> None:
    assert "keeps its sessions elsewhere" not in text(staff.get(LIST))
    settings.SESSION_ENGINE = "django_jwtsession.backends.cookie"
    client = browser(User.objects.get())
    assert "keeps its sessions elsewhere" in text(client.get(LIST))


def test_page_number_beyond_the_end_and_strange_parameters_do_no_harm(staff: Client) -> None:
    for query in ("?p=999", "?seen=x", "?os=BeOS", "?o=-1.9", "?q=%00", "?user_is="):
        assert staff.get(LIST + query).status_code in {200, 302}, query


# --- finding -------------------------------------------------------------------------------------


def test_search_finds_by_name_mail_address_and_both_spellings_of_the_id(staff: Client) -> None:
    wanted = SessionFactory(
        user__username="grace", user__email="hopper@navy.example", ip_address="2001:db8::1"
    )
    SessionFactory(user__username="ada")
    for term in (
        "grace",
        "GRAC",
        "hopper@",
        "2001:DB8:0::1",
        wanted.sid,
        str(wanted.pk),
        wanted.pk.hex,
        f" {wanted.sid} ",
    ):
        assert listed(staff, q=term) == {wanted}, term


@pytest.mark.parametrize(
    "term", ["nobody", "192.0.2.99", "A" * 22, "é" * 22, "%", "' OR 1=1", "x" * 5000, "::", "1"]
)
def test_search_for_what_is_not_there_finds_nothing(staff: Client, term: str) -> None:
    SessionFactory(user__username="ada", user__email="ada@example.com")
    assert listed(staff, q=term) == set()


def test_search_finds_an_address_that_is_stored_as_prefix(staff: Client, settings: Any) -> None:
    settings.JWTSESSION = {"STORE_IP": "prefix"}
    wanted = SessionFactory(ip_address="198.51.100.0")
    assert listed(staff, q="198.51.100.77") == {wanted}


def test_filters_narrow_by_activity_user_browser_system_and_device(staff: Client) -> None:
    now = timezone.now()
    phone = SessionFactory(
        browser="Safari 26", os="iOS", device="phone", last_seen_at=now - timedelta(hours=2)
    )
    old = SessionFactory(
        browser="Chromium 149", os="Linux", user=None, last_seen_at=now - timedelta(days=2)
    )
    admins = set(Session.objects.filter(user__is_staff=True))
    every = {phone, old} | admins
    for query, expected in (
        ({"seen": "1"}, admins),
        ({"seen": "24"}, admins | {phone}),
        ({"seen": "168"}, every),
        ({"browser": "Safari"}, {phone}),
        ({"browser": "Firefox"}, admins),
        ({"browser": "Chrome"}, set()),  # not Chromium
        ({"os": "iOS"}, {phone}),
        ({"device": "phone"}, {phone}),
        ({"user_is": "staff"}, admins),
        ({"user_is": "other"}, {phone}),
        ({"user_is": "nobody"}, {old}),
        ({"user_is": "other", "os": "Linux"}, set()),
        ({"seen": "nonsense"}, every),
    ):
        assert listed(staff, **query) == expected, query


# --- one session ---------------------------------------------------------------------------------


def test_details_show_everything_but_the_data(staff: Client) -> None:
    session = SessionFactory(data=b'{"secret": "cart"}')
    response = staff.get(f"{LIST}{session.pk}/change/")
    page = text(response)
    assert session.sid in page
    assert session.user_agent in page
    assert "secret" not in page
    assert "Save" not in page
    assert "End session" in page


def test_nothing_can_be_added_or_edited(staff: Client) -> None:
    session = SessionFactory()
    assert staff.get(f"{LIST}add/").status_code == 403
    response = staff.post(f"{LIST}{session.pk}/change/", {"ip_address": "1.1.1.1"})
    assert response.status_code == 403
    session.refresh_from_db()
    assert session.ip_address == "192.0.2.1"


# --- ending --------------------------------------------------------------------------------------


@pytest.mark.requirement("ASVS 7.4.5")
def test_ended_browser_is_anonymous_at_its_next_request(staff: Client) -> None:
    user = UserFactory(username="ada")
    first, second = browser(user), browser(user)
    row = Session.objects.get(session_key=first.cookies["sessionid"].value)
    response = end(staff, row)
    assert response.headers["Location"] == f"{LIST}#content-start"
    assert first.get("/closed/").headers["Location"].startswith("/accounts/login/")
    assert second.get("/closed/").status_code == 200
    assert "1 session was ended." in text(staff.get(LIST))


def test_confirmation_names_how_many_and_whose(staff: Client) -> None:
    ada, grace = UserFactory(username="ada"), UserFactory(username="grace")
    rows = [*SessionFactory.create_batch(2, user=ada), SessionFactory(user=grace)]
    response = end(staff, *rows, SessionFactory(user=None), confirmed=False)
    page = text(response)
    assert "End 4 sessions?" in page
    assert "Sessions of: ada (2) " in page
    assert " grace (1) " in page
    assert " not signed in (1) " in page
    assert others().count() == 4
    for row in rows:
        assert f'name="_selected_action" value="{row.pk}"' in response.content.decode()


def test_confirmation_of_many_users_names_those_with_most(staff: Client) -> None:
    rows = SessionFactory.create_batch(12)
    assert "2 sessions of other users" in text(end(staff, *rows, confirmed=False))


def test_all_that_match_are_ended_not_only_the_page(staff: Client) -> None:
    SessionFactory.create_batch(3, os="Linux")
    kept = SessionFactory(os="Windows")
    url = f"{LIST}?os=Linux"
    data = {"action": "end_sessions", "select_across": "1"}
    data["_selected_action"] = str(others().filter(os="Linux").first().pk)
    asked = staff.post(url, data)
    assert "End 3 sessions?" in text(asked)
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', asked.content.decode())
    staff.post(url, {name: value for name, value in fields if name != "csrfmiddlewaretoken"})
    assert others().get() == kept


def test_own_session_is_ended_only_when_asked_for(staff: Client) -> None:
    own, other = Session.objects.get(), SessionFactory()
    asked = end(staff, own, other, confirmed=False)
    assert 'type="checkbox" name="end_own"' in asked.content.decode()
    end(staff, own, other)
    assert Session.objects.get() == own
    assert staff.get(LIST).status_code == 200

    end(staff, own, end_own="1")
    assert not Session.objects.filter(pk=own.pk).exists()
    assert staff.get(LIST).headers["Location"].startswith("/admin/login/")


def test_each_line_leads_to_ending_that_session(staff: Client) -> None:
    session = SessionFactory(user__username="ada")
    url = f"{LIST}{session.pk}/delete/"
    assert f'href="{url}"' in staff.get(LIST).content.decode()
    page = text(staff.get(url))
    assert "End the session “Firefox 149 on Ubuntu”?" in page
    assert "ada" in page
    assert Session.objects.filter(pk=session.pk).exists()
    assert staff.post(url, {"confirmed": "1"}).headers["Location"] == f"{LIST}#content-start"
    assert not Session.objects.filter(pk=session.pk).exists()
    # Once more, as a second staff member might.
    assert staff.get(url).status_code == 302


def test_ending_ones_own_session_alone_says_what_it_means(staff: Client) -> None:
    url = f"{LIST}{Session.objects.get().pk}/delete/"
    page = staff.get(url).content.decode()
    assert "you will be signed out" in page
    assert '<input type="hidden" name="end_own" value="1">' in page
    staff.post(url, {"confirmed": "1", "end_own": "1"})
    assert not Session.objects.exists()


def test_djangos_delete_action_is_not_offered(staff: Client) -> None:
    session = SessionFactory()
    assert "delete_selected" not in staff.get(LIST).content.decode()
    staff.post(LIST, {"action": "delete_selected", "post": "yes", "_selected_action": session.pk})
    assert Session.objects.filter(pk=session.pk).exists()


def test_ending_goes_through_revoke_with_who_did_it(staff: Client, monkeypatch: Any) -> None:
    calls = []
    queryset_class = type(Session.objects.all())
    monkeypatch.setattr(
        queryset_class,
        "revoke",
        lambda self, by=None, reason="": calls.append((set(self), by.username, reason)) or 1,
    )
    session = SessionFactory()
    end(staff, session)
    assert calls == [({session}, "root", "admin")]


# --- permissions ---------------------------------------------------------------------------------


def test_staff_without_permission_see_nothing() -> None:
    client = staff_with()
    session = SessionFactory()
    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}{session.pk}/change/").status_code == 403
    assert client.get(f"{LIST}{session.pk}/delete/").status_code == 403


def test_staff_with_view_permission_see_and_end_nothing() -> None:
    client = staff_with("view_session")
    session = SessionFactory()
    page = client.get(LIST)
    assert page.status_code == 200
    assert "end_sessions" not in page.content.decode()
    assert "/delete/" not in page.content.decode()
    end(client, session)
    assert client.post(f"{LIST}{session.pk}/delete/", {"confirmed": "1"}).status_code == 403
    assert "End session" not in text(client.get(f"{LIST}{session.pk}/change/"))
    assert Session.objects.filter(pk=session.pk).exists()


@pytest.mark.parametrize("codename", ["delete_session", "revoke_session"])
def test_staff_with_view_and_delete_or_revoke_permission_end_sessions(codename: str) -> None:
    client = staff_with("view_session", codename)
    first, second = SessionFactory.create_batch(2)
    end(client, first)
    client.post(f"{LIST}{second.pk}/delete/", {"confirmed": "1"})
    assert not Session.objects.filter(pk__in=[first.pk, second.pk]).exists()


def test_ending_needs_a_csrf_token(staff: Client) -> None:
    session = SessionFactory()
    staff.handler.enforce_csrf_checks = True
    assert end(staff, session).status_code == 403
    assert Session.objects.filter(pk=session.pk).exists()


# --- models of a project's own -------------------------------------------------------------------


def test_base_class_serves_a_projects_own_model(settings: Any, staff: Client) -> None:
    settings.SESSION_ENGINE = "tests.models"
    settings.ROOT_URLCONF = "tests.admin.test_sessions"
    client = browser(User.objects.get())
    browser(UserFactory())
    url = "/own/tests/accountsession/"
    page = text(client.get(url))
    assert "root End Unknown device (this session) 127.0.0.1" in page
    other = AccountSession.objects.exclude(user__username="root").get()
    assert client.get(f"{url}{other.pk}/change/").status_code == 200
    data = {"action": "end_sessions", "confirmed": "1", "_selected_action": str(other.pk)}
    assert client.post(url, data).headers["Location"] == f"{url}#content-start"
    assert AccountSession.objects.get().user == User.objects.get(username="root")


def test_admin_passes_djangos_checks() -> None:
    model_admin = admin.site.get_model_admin(Session)
    assert model_admin.check() == []
    assert reverse("admin:django_jwtsession_session_changelist") == LIST
