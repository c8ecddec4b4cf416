"""Step-up: views that need a recent login."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from django.views.generic import View

from django_jwtsession.decorators import FreshLoginMixin, fresh_login
from django_jwtsession.models import SessionEvent
from django_jwtsession.pages.stepup import return_url

from .. import urls
from ..conftest import NOW
from ..factories import PASSWORD, UserFactory, browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"


@fresh_login
def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


@fresh_login(max_age=60)
def minute(request: HttpRequest, number: int = 0) -> HttpResponse:
    return HttpResponse(f"minute {number} {request.method}")


@fresh_login(max_age=60)
async def later(request: HttpRequest) -> HttpResponse:
    return HttpResponse("later")


class Page(FreshLoginMixin, View):
    max_login_age = 60

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("page")


class AsyncPage(FreshLoginMixin, View):
    max_login_age = 60

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("async page")


class Unguarded(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("unguarded")


def data(request: HttpRequest) -> HttpResponse:
    """Show and fill a session."""
    session: Any = request.session
    before = session.get("cart")
    session["cart"] = "full"
    return HttpResponse(f"{session.sid} {session.auth_time} {before}")


def out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("out")


urlpatterns = [
    path("plain/", plain),
    path("minute/<int:number>/", minute),
    path("later/", later),
    path("page/", Page.as_view()),
    path("apage/", AsyncPage.as_view()),
    path("class/", fresh_login(max_age=60)(Unguarded.as_view())),
    path("data/", data),
    path("out/", out),
    *urls.urlpatterns,
]
PAGES = ["/minute/7/", "/later/", "/page/", "/apage/", "/class/"]


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.LOGIN_URL = "login"


def confirm(client: Client, next_url: str, password: str = PASSWORD, **kwargs: Any) -> Any:
    return client.post("/confirm/", {"password": password, "next": next_url}, **kwargs)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.requirement("ASVS 7.5.1")
def test_fresh_login_passes_and_an_old_one_gives_the_password_and_comes_back(
    engine: str, page: str, clock: Any
) -> None:
    client = browser(UserFactory())
    clock.shift(60)
    assert client.get(page).status_code == 200
    clock.shift(1)
    ask = client.get(f"{page}?a=1&b=2").headers["Location"]
    assert urlsplit(ask).path == "/confirm/"
    (target,) = parse_qs(urlsplit(ask).query)["next"]
    assert target == f"{page}?a=1&b=2"
    assert f'name="next" value="{page}?a=1&amp;b=2"' in client.get(ask).content.decode()
    assert confirm(client, target).headers["Location"] == target
    assert client.get(target).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_who_is_not_logged_in_goes_to_the_login(engine: str, page: str) -> None:
    assert Client().get(page).headers["Location"] == f"/login/?next={page}"


async def test_native_async_stack_asks_as_well(settings: Any, own_connection: None) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.cookie"
    client = AsyncClient()
    response = await client.get("/later/")
    assert response.headers["Location"] == "/login/?next=/later/"


def test_five_minutes_are_the_default(engine: str, clock: Any) -> None:
    client = browser(UserFactory())
    clock.shift(300)
    assert client.get("/plain/").status_code == 200
    clock.shift(1)
    assert client.get("/plain/").status_code == 302


def test_password_moves_auth_time_and_leaves_session_and_data(engine: str, clock: Any) -> None:
    client = browser(UserFactory())
    client.get("/data/")
    sid, login_at, _ = client.get("/data/").content.decode().split()
    clock.shift(1000)
    confirm(client, "/data/")
    same, moved_to, cart = client.get("/data/").content.decode().split()
    assert (same, cart) == (sid, "full")
    assert (float(login_at), float(moved_to)) == (NOW, NOW + 1000)


def test_wrong_password_opens_nothing_and_is_in_the_history(engine: str, clock: Any) -> None:
    user = UserFactory()
    client = browser(user)
    clock.shift(301)
    response = confirm(client, "/plain/", "wrong password")
    page = response.content.decode()
    assert response.status_code == 200
    assert "That is not your password." in page
    assert 'role="alert"' in page
    assert "wrong password" not in page
    assert client.get("/plain/").status_code == 302
    assert SessionEvent.objects.filter(kind="login_failed", user=user).count() == 1


def test_password_of_somebody_else_opens_nothing(db_engine: None, clock: Any) -> None:
    user = UserFactory()
    other = UserFactory()
    other.set_password("the password of the other")
    other.save()
    client = browser(user)
    clock.shift(301)
    assert confirm(client, "/plain/", "the password of the other").status_code == 200
    response = client.post("/confirm/", {"username": other.username, "password": "x"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "///evil", "javascript:alert(1)", "\\\\e"]
)
@pytest.mark.requirement("RFC 9700 4.11")
def test_confirmation_never_leads_to_another_site(db_engine: None, target: str) -> None:
    client = browser(UserFactory())
    assert confirm(client, target).headers["Location"] == "/sessions/"
    assert target not in client.get("/confirm/", {"next": target}).content.decode()


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://testserver/data/?x=1", "/data/?x=1"),
        ("", "/minute/7/"),
        ("https://evil.example/", "/minute/7/"),
        ("http://testserver//evil.example/", "/minute/7/"),
        ("javascript:alert(1)", "/minute/7/"),
        ("http://[", "/minute/7/"),
    ],
)
def test_form_comes_back_to_its_page_and_is_not_sent_again(referer: str, back: str) -> None:
    request = RequestFactory().post("/minute/7/?y=2", {"a": 1}, headers={"Referer": referer})
    assert return_url(request) == back


def test_old_login_does_not_run_the_view_of_a_form(engine: str, clock: Any) -> None:
    client = browser(UserFactory())
    clock.shift(61)
    ask = client.post("/minute/7/").headers["Location"]
    back = confirm(client, parse_qs(urlsplit(ask).query)["next"][0]).headers["Location"]
    assert client.get(back).content == b"minute 7 GET"


def test_other_sites_and_forged_forms_cannot_confirm(db_engine: None, clock: Any) -> None:
    client = browser(UserFactory())
    clock.shift(301)
    assert confirm(client, "/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert confirm(strict, "/").status_code == 403
    assert client.get("/plain/").status_code == 302


def test_password_page_is_never_stored_and_stays_out_of_error_reports(db_engine: None) -> None:
    client = browser(UserFactory())
    response = client.get("/confirm/")
    assert "no-store" in response.headers["Cache-Control"]
    assert 'autocomplete="current-password"' in response.content.decode()
    assert confirm(client, "/", "wrong").wsgi_request.sensitive_post_parameters == "__ALL__"


def test_confirmation_works_with_another_session_engine(settings: Any) -> None:
    settings.SESSION_ENGINE = SIGNED_COOKIES
    client = browser(UserFactory())
    assert client.get("/plain/").headers["Location"].startswith("/confirm/")
    confirm(client, "/plain/")
    assert client.get("/plain/").content == b"plain"


def test_logout_in_between_leads_to_the_login(engine: str, clock: Any) -> None:
    client = browser(UserFactory())
    client.get("/out/")
    assert client.get("/plain/").headers["Location"] == "/login/?next=/plain/"
