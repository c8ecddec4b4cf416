"""Ending all sessions of a user in the admin, and what staff of each permission may."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission, User
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from django_jwtsession.admin import SessionAdmin, SessionsLinkMixin
from django_jwtsession.models import Session, SessionEvent
from django_jwtsession.tokens.sid import new_sid

from .. import urls
from ..factories import SessionFactory, UserFactory, browser
from ..models import AccountSession
from .test_sessions import text

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

SESSIONS = "/admin/django_jwtsession/session/"
HISTORY = "/admin/django_jwtsession/sessionevent/"


class OwnUserAdmin(SessionsLinkMixin, UserAdmin):
    """As a project writes one."""


own_site = admin.AdminSite(name="own")
own_site.register(User, OwnUserAdmin)
own_site.register(AccountSession, SessionAdmin)
urlpatterns = [path("own/", own_site.urls), *urls.urlpatterns]


def staff_with(*codenames: str) -> Client:
    user = UserFactory(username="staff", staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return browser(user)


def superuser() -> Client:
    return browser(UserFactory(username="root", admin=True))


def end_url(user: User) -> str:
    return f"{SESSIONS}user/{user.pk}/end/"


def is_signed_in(client: Client) -> bool:
    return client.get("/closed/").status_code == 200


# --- all sessions of a user ----------------------------------------------------------------------


@pytest.mark.requirement("ASVS 7.4.5")
def test_all_sessions_of_a_user_end_once_that_is_confirmed(engine: str) -> None:
    root = superuser()
    ada, grace = UserFactory(username="ada"), UserFactory(username="grace")
    browsers, other = [browser(ada), browser(ada), browser(ada)], browser(grace)
    page = text(root.get(end_url(ada)))
    assert "End all sessions of ada?" in page
    assert "ada (3)" in page
    assert all(is_signed_in(one) for one in browsers)

    assert root.post(end_url(ada)).headers["Location"] == f"{SESSIONS}#content-start"
    assert not any(is_signed_in(one) for one in browsers)
    assert is_signed_in(other)
    assert "All sessions of ada were ended." in text(root.get(SESSIONS))
    event = SessionEvent.objects.filter(kind="revoked", user=ada).first()
    assert event is not None
    assert event.actor == User.objects.get(username="root")


def test_ones_own_session_goes_on_unless_it_is_asked_for(engine: str) -> None:
    root = superuser()
    user = User.objects.get()
    other = browser(user)
    page = root.get(end_url(user)).content.decode()
    assert 'type="checkbox" name="end_own"' in page
    root.post(end_url(user))
    assert not is_signed_in(other)
    assert is_signed_in(root)
    assert "were ended, except this one." in text(root.get(SESSIONS))

    page = root.get(end_url(user)).content.decode()
    assert "you will be signed out" in page
    assert '<input type="hidden" name="end_own" value="1">' in page
    root.post(end_url(user), {"end_own": "1"})
    assert not is_signed_in(root)


@pytest.mark.parametrize("user_id", ["0", "x", "9" * 40, "_2F..", "%00"])
def test_user_who_is_not_there_has_nothing_to_end(db_engine: None, user_id: str) -> None:
    root = superuser()
    assert (
        root.post(f"{SESSIONS}user/{user_id}/end/").headers["Location"]
        == f"{SESSIONS}#content-start"
    )
    assert "There is no such user." in text(root.get(SESSIONS))


def test_ending_all_needs_a_csrf_token(db_engine: None) -> None:
    root = superuser()
    ada = browser(UserFactory(username="ada"))
    root.handler.enforce_csrf_checks = True
    assert root.post(end_url(User.objects.get(username="ada"))).status_code == 403
    assert is_signed_in(ada)


def test_pages_of_sessions_and_users_lead_to_it(engine: str) -> None:
    root = superuser()
    user = UserFactory(username="ada")
    row = SessionFactory(user=user)
    link = f'href="{end_url(user)}"'
    for url in (
        f"{SESSIONS}{row.pk}/change/",
        f"{SESSIONS}?user__exact={user.pk}",
        f"{HISTORY}?user__exact={user.pk}",
        f"/admin/auth/user/{user.pk}/change/",
    ):
        assert link in root.get(url).content.decode(), url
    nobody = SessionFactory(user=None)
    for url in (f"{SESSIONS}{nobody.pk}/change/", SESSIONS, f"{SESSIONS}?user__exact="):
        assert "End all sessions" not in text(root.get(url)), url


def test_ending_leads_back_to_the_list_as_it_was_filtered(db_engine: None) -> None:
    root = superuser()
    row = SessionFactory(user=UserFactory(username="ada"), os="iOS")
    url, came_from = f"{SESSIONS}{row.pk}/delete/", f"http://testserver{SESSIONS}?os=iOS"
    page = root.get(url, headers={"Referer": came_from}).content.decode()
    button = f"jwtsession-end-{row.pk}"
    assert f'id="{button}"' in root.get(SESSIONS).content.decode()
    assert f'href="{SESSIONS}?os=iOS#{button}"' in page  # to where one was, ending nothing
    assert f'name="back" value="{SESSIONS}?os=iOS"' in page
    response = root.post(url, {"confirmed": "1", "back": f"{SESSIONS}?os=iOS"})
    assert response.headers["Location"] == f"{SESSIONS}?os=iOS#content-start"


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example/?x", "http://[", f"https://e{SESSIONS}?p=1"]
)
def test_way_back_is_always_to_the_list(db_engine: None, back: str) -> None:
    root = superuser()
    ada = UserFactory()
    location = root.post(end_url(ada), {"back": back}).headers["Location"]
    assert location.removesuffix("#content-start") in {SESSIONS, f"{SESSIONS}?p=1"}


def test_projects_own_model_is_ended_on_its_own_site(settings: Any) -> None:
    settings.SESSION_ENGINE = "tests.models"
    root = superuser()
    user = UserFactory(username="ada")
    ada = browser(user)
    page = root.get(f"/own/auth/user/{user.pk}/change/").content.decode()
    url = f"/own/tests/accountsession/user/{user.pk}/end/"
    assert f'href="{url}"' in page
    assert "Sessions (1)" in page
    root.post(url)
    assert not is_signed_in(ada)


# --- the user's page -----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
def test_users_page_has_its_links_wherever_the_app_is_listed(
    settings: Any, db_engine: None, first: bool
) -> None:
    apps = [app for app in django_settings.INSTALLED_APPS if app != "django_jwtsession"]
    settings.INSTALLED_APPS = (
        ["django_jwtsession", *apps] if first else [*apps, "django_jwtsession"]
    )
    root = superuser()
    user = UserFactory()
    SessionFactory.create_batch(2, user=user)
    page = text(root.get(f"/admin/auth/user/{user.pk}/change/"))
    assert "Sessions (2) Session history End all sessions" in page


def test_users_page_counts_and_links_the_logins_where_the_engine_has_no_rows(
    cookie_engine: None,
) -> None:
    root = superuser()
    user = UserFactory(username="ada")
    browser(user)
    gone = browser(user)
    gone.post("/logout/")
    page = root.get(f"/admin/auth/user/{user.pk}/change/").content.decode()
    url = f"{HISTORY}?user__exact={user.pk}&amp;kind__exact=login"
    assert f'<a href="{url}">Sessions (1)</a>' in page
    assert root.get(url.replace("&amp;", "&")).status_code == 200


# --- who may what --------------------------------------------------------------------------------

SEE, END, LOOK = "view_session", "revoke_session", "view_sessionevent"


@pytest.mark.parametrize(
    ("permissions", "sees", "ends", "sees_history"),
    [
        ((), False, False, False),
        ((SEE,), True, False, False),
        ((END,), False, True, False),
        (("delete_session",), False, True, False),
        ((SEE, END), True, True, False),
        ((SEE, "delete_session"), True, True, False),
        (("add_session",), False, False, False),
        (("change_session",), True, False, False),  # which includes seeing, as in all of the admin
        ((LOOK,), False, False, True),
        ((LOOK, END), False, True, True),
        ((SEE, LOOK), True, False, True),
        ("superuser", True, True, True),
    ],
)
def test_staff_of_each_permission(
    db_engine: None,
    permissions: Any,
    sees: bool,
    ends: bool,
    sees_history: bool,
) -> None:
    staff = superuser() if permissions == "superuser" else staff_with(*permissions)
    users = [UserFactory() for _ in range(4)]
    browsers = [browser(user) for user in users]  # ended as selected, alone, by its login, with all
    rows = [Session.objects.get(user=user) for user in users]
    event = SessionEvent.objects.get(user=users[2], kind="login")
    ends_by_login = ends and sees_history

    response = staff.get(SESSIONS)
    assert response.status_code == (200 if sees else 403)
    page = response.content.decode()
    assert (f"{rows[1].pk}/delete/" in page) == (sees and ends)
    assert ('value="end_sessions"' in page) == (sees and ends)
    page = staff.get(f"{SESSIONS}{rows[1].pk}/change/")
    assert page.status_code == (200 if sees else 403)
    assert ("End session" in text(page)) == (sees and ends)
    assert ("End all sessions" in text(page)) == (sees and ends)

    response = staff.get(HISTORY)
    assert response.status_code == (200 if sees_history else 403)
    assert (f"{event.pk}/end/" in response.content.decode()) == ends_by_login
    data: dict[str, Any] = {"action": "export_csv", "_selected_action": event.pk}
    response = staff.post(HISTORY, data)
    assert (response.headers["Content-Type"] == "text/csv; charset=utf-8") == sees_history

    data = {"action": "end_sessions", "_selected_action": rows[0].pk, "confirmed": "1"}
    staff.post(SESSIONS, data)
    one, login, every = (
        f"{SESSIONS}{rows[1].pk}/delete/",
        f"{HISTORY}{event.pk}/end/",
        end_url(users[3]),
    )
    for url, allowed in ((one, ends), (login, ends_by_login), (every, ends)):
        assert staff.get(url).status_code == (200 if allowed else 403), url
        assert staff.post(url, {"confirmed": "1"}).status_code == (302 if allowed else 403), url
    ended = [not is_signed_in(client) for client in browsers]
    assert ended == [sees and ends, ends, ends_by_login, ends]
    assert is_signed_in(staff)


def test_who_may_end_but_not_see_comes_back_to_the_index(db_engine: None) -> None:
    staff = staff_with("revoke_session")
    row = SessionFactory()
    response = staff.post(f"{SESSIONS}{row.pk}/delete/", {"confirmed": "1"})
    assert response.headers["Location"] == "/admin/#content-start"


def test_own_models_permissions_count_in_the_history(settings: Any) -> None:
    settings.SESSION_ENGINE = "tests.models"
    staff = staff_with("view_sessionevent", "revoke_session")
    ada = browser(UserFactory())
    url = f"{HISTORY}{SessionEvent.objects.get(sid=ada.session.sid, kind='login').pk}/end/"
    assert staff.post(url).status_code == 403
    permissions = Permission.objects.filter(codename="revoke_accountsession")
    User.objects.get(username="staff").user_permissions.add(*permissions)
    assert staff.post(url).status_code == 302
    assert not is_signed_in(ada)


# --- queries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["list", "history", "ask", "one", "login", "user"])
def test_queries_of_no_page_grow_with_the_rows(
    db_engine: None, django_assert_num_queries: Any, where: str
) -> None:
    root = superuser()

    def visit() -> Any:
        rows = Session.objects.exclude(user__username="root")
        events = SessionEvent.objects.exclude(user__username="root").exclude(sid="")
        if where == "ask":
            chosen = [str(pk) for pk in rows.values_list("pk", flat=True)]
            return SESSIONS, {"action": "end_sessions", "_selected_action": chosen}
        return {
            "list": SESSIONS,
            "history": HISTORY,
            "one": f"{SESSIONS}{rows[0].pk}/delete/",
            "login": f"{HISTORY}{events[0].pk}/end/",
            "user": end_url(rows[0].user),
        }[where], None

    def add(number: int) -> None:
        for _ in range(number):
            user = UserFactory()
            session = SessionFactory(user=user)
            for kind, sid in (("login", session.sid), ("login_failed", "")):
                SessionEvent.objects.create(kind=kind, sid=sid, user=user, actor=user)

    def queries() -> int:
        url, data = visit()
        with django_assert_num_queries(20, exact=False) as captured:
            response = root.get(url) if data is None else root.post(url, data)
        assert response.status_code == 200
        return len(captured)

    add(3)
    queries()
    before = queries()
    add(30)
    assert queries() == before


# --- export --------------------------------------------------------------------------------------


def test_all_that_match_are_exported_in_parts_with_few_queries(
    db_engine: None, django_assert_num_queries: Any
) -> None:
    root = superuser()
    user = UserFactory(username="ada")
    SessionEvent.objects.bulk_create(
        SessionEvent(kind="logout", user=user, sid=new_sid()) for _ in range(1200)
    )
    data = {"action": "export_csv", "select_across": "1", "_selected_action": "1"}
    response: Any = root.post(f"{HISTORY}?kind__exact=logout", data)
    # Three times 500 events and their users; the actors are nobody.
    with django_assert_num_queries(4):
        parts = list(response.streaming_content)
    assert len(parts) == 3
    rows = list(csv.DictReader(b"".join(parts).decode().splitlines()))
    assert len(rows) == 1200
    assert {(row["what"], row["user"]) for row in rows} == {("logout", "ada")}


@pytest.mark.django_db(transaction=True)
async def test_export_is_streamed_under_asgi_as_well(
    cookie_engine: None, own_connection: None
) -> None:
    user = await sync_to_async(UserFactory)(admin=True)
    client = AsyncClient()
    await client.aforce_login(user)
    event = await SessionEvent.objects.acreate(kind="logout", user=user, user_agent="＝1")  # noqa: RUF001
    data = {"action": "export_csv", "_selected_action": event.pk}
    response = await client.post(HISTORY, data)
    assert isinstance(response, StreamingHttpResponse)
    assert response.is_async
    lines = b"".join([part async for part in response]).decode().splitlines()  # type: ignore[union-attr]
    assert len(lines) == 2
    assert "'＝1" in lines[1]  # noqa: RUF001
