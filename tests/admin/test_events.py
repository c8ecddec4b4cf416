"""The history in the admin, and the links from a user's page."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import path
from django.utils import timezone

from django_jwtsession.admin import SessionAdmin, SessionsLinkMixin
from django_jwtsession.models import Session, SessionEvent
from django_jwtsession.revocation import revoke_user_sessions
from django_jwtsession.tokens.sid import new_sid, uuid_from_sid

from .. import urls
from ..factories import SessionFactory, UserFactory, browser
from .test_sessions import text

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

LIST = "/admin/django_jwtsession/sessionevent/"
LINUX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"


class OwnUserAdmin(SessionsLinkMixin, UserAdmin):
    """As a project writes one for its own user model."""


own_site = admin.AdminSite(name="own")
own_site.register(User, OwnUserAdmin)
own_site.register(Session, SessionAdmin)
urlpatterns = [path("own/", own_site.urls), *urls.urlpatterns]


@pytest.fixture
def staff() -> Client:
    return browser(UserFactory(username="root", admin=True), headers={"user-agent": LINUX})


def staff_with(*codenames: str) -> Client:
    user = UserFactory(staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return browser(user)


def event(kind: str = "login", **values: Any) -> SessionEvent:
    found: SessionEvent = SessionEvent.objects.create(kind=kind, **{"sid": new_sid(), **values})
    return found


def listed(client: Client, **query: str) -> set[SessionEvent]:
    response = client.get(LIST, query)
    assert response.status_code == 200
    return set(response.context["cl"].result_list)


def end_url(client: Client) -> str:
    login = SessionEvent.objects.get(sid=client.session.sid, kind="login")
    return f"{LIST}{login.pk}/end/"


# --- the list ------------------------------------------------------------------------------------


def test_events_of_all_engines_are_lines_in_words(engine: str) -> None:
    staff = browser(UserFactory(username="root", admin=True))
    ada = browser(UserFactory(username="ada"), headers={"user-agent": LINUX})
    staff.post(end_url(ada))
    page = text(staff.get(LIST))
    assert "signed in ada Firefox 149 on Ubuntu 127.0.0.1" in page
    assert "ended ada Firefox 149 on Ubuntu 127.0.0.1 root" in page


def test_number_of_queries_does_not_grow_with_the_lines(
    staff: Client, django_assert_num_queries: Any
) -> None:
    for _ in range(2):
        event(user=UserFactory(), actor=UserFactory())
    # session, user, count, events, their people, which have ended, which have a row, the first
    # and the last date
    with django_assert_num_queries(9):
        staff.get(LIST)
    for _ in range(30):
        event(user=UserFactory(), actor=UserFactory())
    with django_assert_num_queries(9):
        staff.get(LIST)


def test_filters_and_search_narrow_the_list(staff: Client) -> None:
    now = timezone.now()
    own = set(SessionEvent.objects.all())
    ada = event(user=UserFactory(username="ada"), browser="Safari 18", os="macOS")
    old = event("logout", ip_address="192.0.2.7", created_at=now - timedelta(days=2))
    for query, expected in (
        ({"when": "24"}, own | {ada}),
        ({"when": "168"}, own | {ada, old}),
        ({"kind__exact": "logout"}, {old}),
        ({"browser": "Safari"}, {ada}),
        ({"os": "macOS"}, {ada}),
        ({"user_is": "staff"}, own),
        ({"user_is": "other"}, {ada}),
        ({"q": "ada"}, {ada}),
        ({"q": "192.0.2.7"}, {old}),
        ({"q": ada.sid}, {ada}),
        ({"q": str(uuid_from_sid(ada.sid))}, {ada}),
        ({"q": "nobody"}, set()),
        ({"q": "é" * 22}, set()),
    ):
        assert listed(staff, **query) == expected, query


def test_nothing_can_be_added_changed_or_deleted(staff: Client) -> None:
    login = event()
    page = text(staff.get(f"{LIST}{login.pk}/change/"))
    assert login.sid in page
    assert "Save" not in page
    assert "Delete" not in page
    assert staff.get(f"{LIST}add/").status_code == 403
    assert staff.post(f"{LIST}{login.pk}/change/", {"sid": "x"}).status_code == 403
    assert staff.post(f"{LIST}{login.pk}/delete/", {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [login.pk], "post": "yes"}
    staff.post(LIST, data)
    assert SessionEvent.objects.filter(pk=login.pk).exists()


@pytest.mark.parametrize("selected", [False, True])
def test_who_may_delete_a_user_may_do_so_with_sessions_and_history(selected: bool) -> None:
    staff = staff_with("view_user", "delete_user")
    user = UserFactory()
    event(user=user)
    session = SessionFactory(user=user)
    url = "/admin/auth/user/" + ("" if selected else f"{user.pk}/delete/")
    data = {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"}
    assert staff.post(url, data).status_code == 302
    assert not User.objects.filter(pk=user.pk).exists()
    assert not Session.objects.filter(pk=session.pk).exists()


def test_pages_of_users_link_no_list_that_is_closed() -> None:
    """That deleting a user takes no permission for sessions opens nothing else."""
    staff = staff_with("view_user", "delete_user", "view_sessionevent")
    user = UserFactory()
    session = SessionFactory(user=user)
    for url in ("/admin/auth/user/", f"/admin/auth/user/{user.pk}/delete/"):
        page = staff.get(url).content.decode()
        assert f'href="{LIST}"' in page
        assert 'href="/admin/django_jwtsession/session/"' not in page
    assert staff.get("/admin/django_jwtsession/session/").status_code == 403
    for page in ("change", "delete"):
        url = f"/admin/django_jwtsession/session/{session.pk}/{page}/"
        assert staff.post(url, {"post": "yes", "confirmed": "1"}).status_code == 403
    assert Session.objects.filter(pk=session.pk).exists()


# --- ending --------------------------------------------------------------------------------------


def test_login_line_ends_its_session_once_that_is_confirmed(engine: str) -> None:
    staff = browser(UserFactory(username="root", admin=True))
    ada = browser(UserFactory(username="ada"))
    other = browser(User.objects.get(username="ada"))
    url = end_url(ada)
    assert f'href="{url}"' in staff.get(LIST).content.decode()
    page = text(staff.get(url))
    assert "End the session “Unknown device”?" in page
    assert " ada " in page
    assert ada.get("/closed/").status_code == 200
    assert staff.post(url).headers["Location"] == f"{LIST}#content-start"
    assert ada.get("/closed/").status_code == 302
    assert other.get("/closed/").status_code == 200
    page = staff.get(LIST)
    assert "The session was ended." in text(page)
    assert f'href="{url}"' not in page.content.decode()
    staff.post(url)
    assert "That session has ended already." in text(staff.get(LIST))


def test_logins_that_ended_with_all_of_their_user_are_not_offered(engine: str) -> None:
    staff = browser(UserFactory(username="root", admin=True))
    ada = browser(UserFactory(username="ada"))
    url = end_url(ada)
    revoke_user_sessions(User.objects.get(username="ada"))
    assert f'href="{url}"' not in staff.get(LIST).content.decode()
    staff.post(url)
    assert "That session has ended already." in text(staff.get(LIST))
    again = browser(User.objects.get(username="ada"))
    assert f'href="{end_url(again)}"' in staff.get(LIST).content.decode()


def test_event_tells_why_a_session_ended_and_who_held_the_copied_one(staff: Client) -> None:
    ended = event("revoked", detail={"reason": "too many sessions"})
    assert "the user had too many sessions" in text(staff.get(f"{LIST}{ended.pk}/change/"))
    of_site = event("revoked", detail={"reason": "moved <b>away</b>"})
    page = staff.get(f"{LIST}{of_site.pk}/change/").content.decode()
    assert "moved &lt;b&gt;away&lt;/b&gt;" in page
    copied = event("token_reuse", detail={"ip_address": "192.0.2.9", "user_agent": LINUX})
    page = text(staff.get(f"{LIST}{copied.pk}/change/"))
    assert "Device of the session: Firefox 149 on Ubuntu, 192.0.2.9" in page
    (row,) = export(staff, copied)
    assert json.loads(row["detail"]) == copied.detail
    page = text(staff.get(f"{LIST}{event().pk}/change/"))
    assert "Reason" not in page
    assert "Device of the session" not in page


def test_ending_ones_own_session_says_so_and_signs_out(engine: str) -> None:
    staff = browser(UserFactory(username="root", admin=True))
    url = end_url(staff)
    assert "you will be signed out" in text(staff.get(url))
    staff.post(url)
    assert staff.get(LIST).status_code == 302


def test_only_logins_that_may_still_be_in_use_can_be_ended(staff: Client) -> None:
    old = timezone.now() - timedelta(days=91)
    for dead in (event("logout"), event("login_failed"), event(created_at=old), event(sid="")):
        assert f"{LIST}{dead.pk}/end/" not in staff.get(LIST).content.decode()
        assert staff.post(f"{LIST}{dead.pk}/end/").headers["Location"] == f"{LIST}#content-start"
    assert not SessionEvent.objects.filter(kind="revoked").exists()
    assert staff.post(f"{LIST}none/end/").headers["Location"] == f"{LIST}#content-start"


@pytest.mark.parametrize(
    ("permissions", "sees", "ends"),
    [
        ((), 403, 403),
        (("view_session", "revoke_session"), 403, 403),
        (("view_sessionevent",), 200, 403),
        (("view_sessionevent", "revoke_session"), 200, 302),
        (("view_sessionevent", "delete_session"), 200, 302),
    ],
)
def test_permissions_say_who_sees_and_who_ends(
    permissions: tuple[str, ...], sees: int, ends: int
) -> None:
    ada = browser(UserFactory())
    client = staff_with(*permissions)
    response = client.get(LIST)
    assert response.status_code == sees
    assert (end_url(ada) in response.content.decode()) == (ends == 302)
    assert client.get(end_url(ada)).status_code in (ends, 200 if ends == 302 else 403)
    assert client.post(end_url(ada)).status_code == ends
    assert (ada.get("/closed/").status_code == 200) == (ends == 403)


# --- export --------------------------------------------------------------------------------------


def export(client: Client, *events: SessionEvent) -> list[dict[str, str]]:
    data = {"action": "export_csv", "_selected_action": [one.pk for one in events]}
    response = client.post(LIST, data)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(response.getvalue().decode().splitlines()))


def test_selection_is_exported_as_csv(staff: Client) -> None:
    ada = UserFactory(username="ada")
    wanted = event("revoked", user=ada, actor=User.objects.get(username="root"), os="macOS")
    event()
    (row,) = export(staff, wanted)
    assert row["what"] == "revoked"
    assert (row["user"], row["by"], row["os"]) == ("ada", "root", "macOS")
    # One in 64 sids begins as a formula does.
    assert row["session"].removeprefix("'") == wanted.sid
    assert row["when"] == wanted.created_at.isoformat()


@pytest.mark.parametrize("agent", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("x","y")'])
def test_what_browsers_send_is_no_formula_in_a_spreadsheet(staff: Client, agent: str) -> None:
    (row,) = export(staff, event(user_agent=agent))
    assert row["user_agent"] == f"'{agent}"


@pytest.mark.parametrize(
    "agent",
    [
        "x;=1+cmd|' /C calc'!A0",
        'x";=1+1',
        "x;\t @SUM(A1)",
        "x,-1",
        "x\n+1",
        "(compatible; bot/2; +http://e.org)",
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_no_cell_is_a_formula_by_whatever_separator_the_file_is_read(
    staff: Client, agent: str, separator: str
) -> None:
    one = event(user_agent=agent)
    data = {"action": "export_csv", "_selected_action": [one.pk]}
    lines = staff.post(LIST, data).getvalue().decode()
    assert all(line.startswith('"') for line in lines.split("\r\n")[:-1])
    cells = [cell for row in csv.reader(io.StringIO(lines), delimiter=separator) for cell in row]
    naive = [cell for line in lines.splitlines() for cell in line.split(separator)]
    for cell in (*cells, *naive):
        assert not cell.strip().strip('"').startswith(("=", "+", "-", "@")), cell


# --- the user's page -----------------------------------------------------------------------------


@pytest.mark.parametrize("site", ["admin", "own"])
def test_user_page_links_to_the_sessions_with_their_number(staff: Client, site: str) -> None:
    user = UserFactory()
    kept = set(SessionFactory.create_batch(2, user=user))
    SessionFactory(user=user, expires_at=timezone.now())
    SessionFactory()
    page = staff.get(f"/{site}/auth/user/{user.pk}/change/").content.decode()
    url = f"/{site}/django_jwtsession/session/?user__exact={user.pk}"
    assert f'<a href="{url}">Sessions (2)</a>' in page
    assert set(staff.get(url).context["cl"].result_list) == kept
    history = f"{LIST}?user__exact={user.pk}"
    assert (f'<a href="{history}">Session history</a>' in page) == (site == "admin")
    login = event(user=user)
    assert listed(staff, user__exact=str(user.pk)) == {login}


def test_user_page_links_only_what_the_staff_may_view() -> None:
    user = UserFactory()
    url = f"/admin/auth/user/{user.pk}/change/"
    assert "Session" not in text(staff_with("view_user").get(url))
    page = text(staff_with("view_user", "view_session").get(url))
    assert "Sessions (0)" in page
    assert "Session history" not in page


def test_page_that_adds_a_user_has_no_links(staff: Client) -> None:
    assert "Sessions (" not in text(staff.get("/admin/auth/user/add/"))
