"""What a site includes, and what it gets: no login that it did not ask for."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.views import LoginView
from django.core.checks import run_checks
from django.test import Client
from django.urls import include, path, reverse

from django_jwtsession.checks import login as login_checks

from ..factories import PASSWORD, UserFactory

# From Django 6.1 on, checks of the database go along.
pytestmark = pytest.mark.django_db


def urlconf(*patterns: Any) -> ModuleType:
    module = ModuleType("urls")
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    return module


_PAGES = path("", include("django_jwtsession.urls"))
_LOGIN = path("", include("django_jwtsession.urls.login"))
PAGES_ALONE, LOGIN_ALONE, BOTH = urlconf(_PAGES), urlconf(_LOGIN), urlconf(_PAGES, _LOGIN)
TWO = urlconf(path("account/login/", LoginView.as_view(), name="own"), _PAGES, _LOGIN)


@pytest.mark.django_db
def test_pages_bring_no_login_that_would_be_a_way_round_the_sites_own(settings: Any) -> None:
    settings.ROOT_URLCONF = PAGES_ALONE
    user = UserFactory()
    client = Client()
    form = {"username": user.username, "password": PASSWORD}
    assert client.post("/login/", form).status_code == 404
    assert client.post("/logout/").status_code == 404
    assert "sessionid" not in client.cookies


@pytest.mark.django_db
@pytest.mark.parametrize("urls", [LOGIN_ALONE, BOTH], ids=["alone", "both"])
def test_login_is_there_where_a_site_includes_it(settings: Any, urls: Any) -> None:
    settings.ROOT_URLCONF = urls
    settings.LOGIN_REDIRECT_URL = "/"
    form = {"username": UserFactory().username, "password": PASSWORD}
    client = Client()
    assert client.post(reverse("login"), form).status_code == 302
    assert client.post(reverse("logout"), {"next": "/"}).status_code == 302


@pytest.mark.django_db
@pytest.mark.requirement("ASVS 7.4.4")
def test_sessions_page_signs_out_without_our_logout(settings: Any) -> None:
    settings.ROOT_URLCONF = PAGES_ALONE
    settings.LOGOUT_REDIRECT_URL = "/bye/"
    client = Client()
    client.force_login(UserFactory())
    page = client.get(reverse("jwtsession:sessions"))
    assert page.status_code == 200
    own = reverse("jwtsession:end_session", args=[client.session.sid])
    assert own in page.content.decode()
    assert client.post(own).headers["Location"] == "/bye/"
    assert client.get(reverse("jwtsession:sessions")).status_code == 302


def warnings() -> list[str]:
    return [one.msg for one in run_checks() if one.id == "django_jwtsession.W027"]


@pytest.mark.parametrize("urls", [PAGES_ALONE, LOGIN_ALONE, BOTH], ids=["pages", "login", "both"])
def test_check_is_content_with_one_login(settings: Any, urls: Any) -> None:
    settings.ROOT_URLCONF = urls
    assert warnings() == []


def test_check_warns_of_two_logins_and_names_them(settings: Any) -> None:
    settings.ROOT_URLCONF = TWO
    [message] = warnings()
    assert "django.contrib.auth.views.LoginView" in message
    assert "django_jwtsession.pages.login.LoginView" in message


def test_check_takes_the_login_of_an_admin_for_no_second_one(settings: Any) -> None:
    class StaffLogin(LoginView):
        """As Wagtail has one."""

    def urls(module: str) -> Any:
        StaffLogin.__module__ = module
        return urlconf(path("cms/login/", StaffLogin.as_view()), _LOGIN)

    settings.ROOT_URLCONF = urls("wagtail.admin.views.account")
    assert warnings() == []
    settings.ROOT_URLCONF = urls("site.views")
    assert len(warnings()) == 1


@pytest.mark.parametrize("app", ["allauth.account", "django_otp", "two_factor"])
def test_check_warns_of_a_login_beside_one_with_a_second_factor(
    settings: Any, monkeypatch: pytest.MonkeyPatch, app: str
) -> None:
    monkeypatch.setattr(
        login_checks, "apps", SimpleNamespace(is_installed=lambda name: name == app)
    )
    settings.ROOT_URLCONF = BOTH
    [message] = warnings()
    assert "second factor" in message
    settings.ROOT_URLCONF = PAGES_ALONE
    assert warnings() == []
