"""Step-up in the admin: the password before what is named, and back to where one was."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from django_jwtsession.admin import FreshLoginAdminMixin, SessionAdmin, SessionEventAdmin
from django_jwtsession.models import Session, SessionEvent

from .. import urls
from ..factories import PASSWORD, SessionFactory, UserFactory
from .test_sessions import text

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class FreshUserAdmin(FreshLoginAdminMixin, UserAdmin):
    """As a project writes one: an action and a view of its own, beside Django's."""

    actions = ("promote", "greet")
    max_login_age = 60
    fresh_login_actions = ("promote", "delete_selected")
    fresh_login_views = ("delete_view", "report_view")

    def get_urls(self) -> list[Any]:
        return [path("report/", self.admin_site.admin_view(self.report_view)), *super().get_urls()]

    def report_view(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("report")

    @admin.action(description="Promote")
    def promote(self, request: HttpRequest, queryset: Any) -> None:
        queryset.update(is_staff=True)

    @admin.action(description="Greet")
    def greet(self, request: HttpRequest, queryset: Any) -> None:
        self.message_user(request, "hello")


class StrictSessionAdmin(SessionAdmin):
    max_login_age = 60


class StrictEventAdmin(SessionEventAdmin):
    max_login_age = 60


strict = admin.AdminSite(name="strict")
strict.register(User, FreshUserAdmin)
strict.register(Session, StrictSessionAdmin)
strict.register(SessionEvent, StrictEventAdmin)
# Without the package's own pages, as where only the admin is used.
urlpatterns = [
    path("strict/", strict.urls),
    *[one for one in urls.urlpatterns if getattr(one, "app_name", "") != "jwtsession"],
]
USERS = "/strict/auth/user/"
SESSIONS = "/strict/django_jwtsession/session/"
HISTORY = "/strict/django_jwtsession/sessionevent/"


@pytest.fixture
def staff(engine: str, clock: Any) -> Client:
    """Who has logged in through the admin's own page."""
    UserFactory(username="root", admin=True)
    client = Client()
    client.post("/strict/login/", {"username": "root", "password": PASSWORD})
    return client


def select(client: Client, url: str, action: str, *rows: Any, **data: str) -> Any:
    return client.post(url, {"action": action, "_selected_action": [r.pk for r in rows], **data})


def confirm(client: Client, asked: Any, password: str = PASSWORD) -> Any:
    """Send the password page back as a browser does, with its hidden fields."""
    url = asked.headers["Location"]
    page = client.get(url)
    assert page.status_code == 200
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode())
    data = {name: unescape(value) for name, value in fields} | {"password": password}
    return client.post(urlsplit(url).path, data)


def test_named_action_asks_and_is_not_carried_out_by_the_password(
    staff: Client, clock: Any
) -> None:
    ada = UserFactory(username="ada")
    clock.shift(61)
    asked = select(staff, f"{USERS}?q=ada&is_staff__exact=0", "promote", ada)
    assert urlsplit(asked.headers["Location"]).path == f"{USERS}confirm-login/"
    back = confirm(staff, asked)
    assert back.headers["Location"] == f"{USERS}?q=ada&is_staff__exact=0"
    ada.refresh_from_db()
    assert not ada.is_staff
    page = text(staff.get(back.headers["Location"]))
    assert "Nothing was done yet: please do it again." in page
    select(staff, USERS, "promote", ada)
    ada.refresh_from_db()
    assert ada.is_staff


def test_other_actions_and_pages_are_not_asked_for(staff: Client, clock: Any) -> None:
    clock.shift(10_000)
    user = UserFactory()
    assert select(staff, USERS, "greet", user).headers["Location"] == USERS
    assert staff.get(USERS).status_code == 200
    assert staff.get(f"{USERS}{user.pk}/change/").status_code == 200


def test_fresh_login_is_not_asked(staff: Client, clock: Any) -> None:
    clock.shift(3600)
    client = Client()
    client.post("/strict/login/", {"username": "root", "password": PASSWORD})
    clock.shift(60)
    user = UserFactory()
    assert "Are you sure" in text(select(client, USERS, "delete_selected", user))
    assert "Are you sure" in text(client.get(f"{USERS}{user.pk}/delete/"))
    assert client.get(f"{USERS}report/").content == b"report"


@pytest.mark.parametrize("where", ["{}/delete/", "report/"])
def test_named_view_asks_and_one_comes_back_to_it(staff: Client, clock: Any, where: str) -> None:
    user = UserFactory()
    clock.shift(10_000)
    url = f"{USERS}{where.format(user.pk)}?x=1"
    asked = staff.get(url)
    assert staff.post(url, {"post": "yes"}).status_code == 302
    assert User.objects.filter(pk=user.pk).exists()
    assert confirm(staff, asked).headers["Location"] == url
    response = staff.get(url)
    assert response.status_code == 200
    assert "Nothing was done yet" not in text(response)


def test_session_and_data_stay_and_auth_time_moves(staff: Client, clock: Any) -> None:
    session = staff.session
    session["cart"] = "full"
    session.save()
    staff.cookies["sessionid"] = session.session_key
    sid, before = session.sid, session.auth_time
    clock.shift(1000)
    confirm(staff, staff.get(f"{USERS}report/"))
    assert staff.session.sid == sid
    assert staff.session["cart"] == "full"
    assert staff.session.auth_time == pytest.approx(before + 1000, abs=60)


def test_wrong_password_opens_nothing_and_says_so_in_the_admins_frame(
    staff: Client, clock: Any
) -> None:
    clock.shift(10_000)
    page = confirm(staff, staff.get(f"{USERS}report/"), "wrong")
    assert page.status_code == 200
    assert "That is not your password." in text(page)
    assert "Django administration" in text(page)
    assert "no-store" in page.headers["Cache-Control"]
    assert staff.get(f"{USERS}report/").status_code == 302


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:a()"])
def test_password_page_leads_to_no_other_site(staff: Client, target: str) -> None:
    url = f"{USERS}confirm-login/"
    response = staff.post(url, {"password": PASSWORD, "next": target})
    assert response.headers["Location"] == USERS
    assert target not in staff.get(url, {"next": target}).content.decode()


def test_password_page_is_for_staff_alone_and_refuses_other_sites(staff: Client) -> None:
    url = f"{USERS}confirm-login/"
    assert Client().get(url).headers["Location"].startswith("/strict/login/")
    data = {"password": PASSWORD}
    assert staff.post(url, data, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    staff.handler.enforce_csrf_checks = True
    assert staff.post(url, data).status_code == 403


# --- the package's own admins --------------------------------------------------------------------


def test_ending_sessions_can_ask_for_a_recent_login(staff: Client, clock: Any) -> None:
    ada = UserFactory(username="ada")
    row = SessionFactory(user=ada)
    client = Client()
    client.force_login(ada)
    login = SessionEvent.objects.get(user=ada, kind="login")
    clock.shift(10_000)
    assert staff.get(SESSIONS).status_code == 200
    for url in (f"{SESSIONS}{row.pk}/delete/", f"{SESSIONS}user/{ada.pk}/end/"):
        assert "/session/confirm-login/" in staff.get(url).headers["Location"]
        assert staff.post(url, {"confirmed": "1"}).status_code == 302
    url = f"{HISTORY}{login.pk}/end/"
    assert "/sessionevent/confirm-login/" in staff.post(url).headers["Location"]
    assert "confirm-login" in select(staff, SESSIONS, "end_sessions", row).headers["Location"]
    assert Session.objects.filter(pk=row.pk).exists()
    assert not SessionEvent.objects.filter(kind="revoked").exists()

    url = f"{SESSIONS}user/{ada.pk}/end/"
    assert confirm(staff, staff.post(url)).headers["Location"] == url
    assert "End all sessions of ada?" in text(staff.get(url))
    staff.post(url)
    assert not Session.objects.filter(pk=row.pk).exists()


def test_ending_sessions_asks_for_the_password_five_minutes_after_the_login(
    clock: Any, db_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    client.force_login(UserFactory(admin=True))
    row = SessionFactory()
    url = f"/admin/django_jwtsession/session/{row.pk}/delete/"
    clock.shift(299)
    assert client.get(url).status_code == 200
    clock.shift(2)
    assert "confirm-login" in client.get(url).headers["Location"]
    monkeypatch.setattr(SessionAdmin, "max_login_age", None)  # as a site may have it
    assert client.get(url).status_code == 200


def test_other_session_engines_ask_once(settings: Any, clock: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client = Client()
    client.force_login(UserFactory(admin=True))
    confirm(client, client.get(f"{USERS}report/"))
    assert client.get(f"{USERS}report/").content == b"report"


def test_view_that_is_not_there_is_an_error_at_once() -> None:
    class Misspelt(FreshLoginAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
        fresh_login_views = ("delete_veiw",)

    with pytest.raises(AttributeError):
        Misspelt(Group, strict)


def test_user_without_a_password_signs_out_and_in_again(
    staff: Client, clock: Any, settings: Any
) -> None:
    settings.LOGIN_URL = "/sso/"
    client = Client()
    client.force_login(User.objects.create_superuser("sso"))
    clock.shift(10_000)
    ask = client.get(f"{USERS}report/").headers["Location"]
    assert 'name="sign_in_again"' in client.get(ask).content.decode()
    way = client.post(ask, {"sign_in_again": "1", "next": f"{USERS}report/"})
    assert way.headers["Location"] == f"/sso/?next={USERS}report/"
    assert client.get(f"{USERS}report/").headers["Location"].startswith("/strict/login/")


def test_next_is_kept_through_a_wrong_password(staff: Client, clock: Any) -> None:
    clock.shift(10_000)
    page = confirm(staff, staff.get(f"{USERS}report/?x=1"), "wrong").content.decode()
    assert f'name="next" value="{USERS}report/?x=1"' in page
    asked = staff.post(f"{USERS}report/").headers["Location"]
    assert parse_qs(urlsplit(asked).query)["next"] == [f"{USERS}report/"]
    assert 'name="again"' in confirm(staff, staff.post(f"{USERS}report/"), "x").content.decode()
