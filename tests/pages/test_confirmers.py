"""Proof of identity on real sites: other factors, users without a password, wrong tries."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django import forms
from django.contrib.auth import login
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from django_jwtsession.decorators import fresh_login
from django_jwtsession.models import SessionEvent
from django_jwtsession.pages import confirmers
from django_jwtsession.pages.confirmers import Confirmer, register
from django_jwtsession.pages.forms import ProofForm
from django_jwtsession.pages.stepup import confirm as note_proof
from django_jwtsession.pages.stepup import confirmed_at, proofs

from .. import urls
from ..factories import PASSWORD, UserFactory, browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@fresh_login
def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


@fresh_login(max_age=60, methods={"otp", "hwk"})
def strict(request: HttpRequest) -> HttpResponse:
    return HttpResponse("strict")


@fresh_login(max_age=60, methods={"otp", "hwk"})
async def astrict(request: HttpRequest) -> HttpResponse:
    return HttpResponse("strict")


def log_in_with_code(request: HttpRequest) -> HttpResponse:
    note_proof(request, amr={"otp"})
    return HttpResponse("noted")


def amr(request: HttpRequest) -> HttpResponse:
    return HttpResponse(" ".join(sorted(proofs(request))))


def callback(request: HttpRequest, pk: int) -> HttpResponse:
    login(request, User.objects.get(pk=pk), "django.contrib.auth.backends.ModelBackend")
    return HttpResponse("in")


urlpatterns = [
    path("callback/<int:pk>/", callback),
    path("plain/", plain),
    path("strict/", strict),
    path("astrict/", astrict),
    path("code/", log_in_with_code),
    path("amr/", amr),
    *urls.urlpatterns,
]


class CodeForm(ProofForm):
    code = forms.CharField()

    def clean_code(self) -> str:
        if self.cleaned_data["code"] != f"code of {self.request.user.pk}":
            raise forms.ValidationError("No.")
        return "x"


class Code(Confirmer):
    name, methods, label = "code", frozenset({"otp"}), "a code"
    form_class = CodeForm


class Elsewhere(Confirmer):
    """As OpenID Connect does: leads to another page, and back."""

    name, methods, label = "sso", frozenset({"pwd", "mfa"}), "our sign-on"

    def begin(self, request: HttpRequest, back: str) -> str:
        return f"https://id.example/?back={back}"

    def finish(self, request: HttpRequest, since: float) -> Collection[str]:
        return {"mfa"} if request.GET.get("ok") == "1" else ()


@pytest.fixture(autouse=True)
def site(settings: Any) -> Iterator[None]:
    settings.LOGIN_URL = "login"
    before = dict(confirmers._registered)
    yield
    confirmers._registered.clear()
    confirmers._registered.update(before)


def confirm(client: Client, password: str = PASSWORD, **kwargs: Any) -> Any:
    return client.post("/confirm/", {"password": password, "next": "/plain/"}, **kwargs)


def text(response: Any) -> str:
    body: str = response.content.decode()
    return body


# --- passwords, and users without one ------------------------------------------------------------


class EmailBackend(ModelBackend):
    def authenticate(self, request: Any, email: str = "", password: str = "", **kwargs: Any) -> Any:
        user = User.objects.filter(email=email).first()
        return user if user is not None and user.check_password(password) else None


def test_password_is_right_where_the_site_logs_in_by_email(engine: str, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.EmailBackend"]
    client = Client()
    client.force_login(UserFactory())
    assert confirm(client).headers["Location"] == "/plain/"
    assert "That is not your password." in text(confirm(client, "wrong"))


@pytest.mark.parametrize("path", ["/confirm/?next=/plain/", "/sessions/end-others/"])
def test_user_without_a_password_signs_out_and_in_again_and_goes_round_no_loop(
    engine: str, path: str
) -> None:
    client = Client()
    client.force_login(User.objects.create_user("sso"))
    page = text(client.get(path))
    assert 'name="password"' not in page
    assert 'name="sign_in_again"' in page
    response = client.post(path, {"sign_in_again": "1", "next": "/plain/"})
    back = "/plain/" if path.startswith("/confirm") else path
    assert response.headers["Location"] == f"/login/?next={back}"
    assert "sessionid" not in client.cookies or not client.cookies["sessionid"].value
    assert 'name="sign_in_again"' not in text(browser(UserFactory()).get(path))


def test_posting_nothing_proves_nothing_for_who_has_no_password(engine: str, clock: Any) -> None:
    client = Client()
    client.force_login(User.objects.create_user("sso"))
    clock.shift(301)
    for data in ({}, {"password": ""}, {"by": "password", "password": ""}):
        assert client.post("/confirm/", {**data, "next": "/plain/"}).status_code == 200
    assert client.get("/plain/").status_code == 302


# --- what a site registers -----------------------------------------------------------------------


@pytest.mark.requirement("ASVS 7.5.3")
def test_site_asks_for_another_factor_than_the_password(engine: str, clock: Any) -> None:
    register(Code())
    user = UserFactory()
    client = browser(user)
    ask = client.get("/strict/").headers["Location"]
    assert parse_qs(urlsplit(ask).query)["methods"] == ["hwk,otp"]
    page = text(client.get(ask))
    assert 'name="code"' in page
    assert 'name="password"' not in page
    assert confirm(client).status_code == 302, "the password alone"
    assert client.get("/strict/").status_code == 302
    data = {"code": f"code of {user.pk}", "by": "code", "next": "/strict/"}
    assert client.post(ask, {**data, "code": "code of 0"}).status_code == 200
    assert client.post(ask, data).headers["Location"] == "/strict/"
    assert client.get("/strict/").content == b"strict"
    assert client.get("/astrict/").content == b"strict"
    clock.shift(61)
    assert client.get("/strict/").status_code == 302
    assert client.get("/astrict/").status_code == 302


def test_what_was_proved_is_kept_until_the_logout(engine: str) -> None:
    register(Code())
    user = UserFactory()
    client = browser(user)
    assert client.get("/amr/").content == b""
    confirm(client)
    client.get("/code/")
    assert client.get("/amr/").content == b"otp pwd"
    assert client.get("/strict/").content == b"strict"
    client.post("/logout/")
    client.post("/login/", {"username": user.username, "password": PASSWORD})
    assert client.get("/amr/").content == b""


def test_user_chooses_among_several_and_the_password_is_the_first(engine: str) -> None:
    register(Code())
    client = browser(UserFactory())
    page = text(client.get("/confirm/?next=/plain/"))
    assert 'name="password"' in page
    assert '<a href="/confirm/?next=%2Fplain%2F&amp;by=code">Confirm with a code</a>' in page
    assert 'name="code"' in text(client.get("/confirm/?next=/plain/&by=code"))
    assert 'name="code"' in text(client.get("/sessions/end-others/?by=code"))


def test_who_has_none_of_the_factors_is_told_so_and_not_sent_round(engine: str) -> None:
    client = browser(UserFactory())
    page = text(client.get("/confirm/?next=/strict/&methods=otp"))
    assert "none of the ways" in page
    assert "sign_in_again" not in page
    assert '<a href="/sessions/">Back</a>' in page


def test_proof_on_another_page_leads_there_and_back(engine: str, clock: Any) -> None:
    register(Elsewhere())
    client = Client()
    client.force_login(User.objects.create_user("sso"))
    clock.shift(301)
    page = text(client.get("/confirm/?next=/plain/"))
    assert '<a href="/confirm/?next=%2Fplain%2F&amp;by=sso">Confirm with our sign-on</a>' in page
    way = client.get("/confirm/?next=/plain/&by=sso").headers["Location"]
    assert way == "https://id.example/?back=/confirm/?next=%2Fplain%2F&done=sso"
    assert client.get("/confirm/?next=/plain/&done=sso").status_code == 200, "nothing was proved"
    assert client.get("/plain/").status_code == 302
    client.get("/confirm/?next=/plain/&by=sso")
    back = client.get("/confirm/?next=/plain/&done=sso&ok=1")
    assert back.headers["Location"] == "/plain/"
    assert client.get("/plain/").content == b"plain"
    assert client.get("/amr/").content == b"mfa"


def test_coming_back_without_having_been_led_away_proves_nothing(engine: str, clock: Any) -> None:
    register(Elsewhere())
    client = browser(UserFactory())
    clock.shift(301)
    client.get("/confirm/?next=/plain/&done=sso&ok=1")
    assert client.get("/plain/").status_code == 302
    client.get("/confirm/?next=/plain/&by=sso")
    clock.shift(901)
    client.get("/confirm/?next=/plain/&done=sso&ok=1")
    assert client.get("/plain/").status_code == 302


class Provider(Elsewhere):
    """As the OpenID Connect adapter of the documentation: the callback logs in again."""

    def finish(self, request: HttpRequest, since: float) -> Collection[str]:
        return self.methods if (confirmed_at(request) or 0) >= since else ()


def test_provider_that_asks_again_logs_the_same_user_in(engine: str, clock: Any) -> None:
    register(Provider())
    user = User.objects.create_user("sso")
    client = Client()
    client.force_login(user)
    clock.shift(301)
    client.get("/confirm/?next=/plain/&by=sso")
    clock.shift(5)
    assert client.get("/confirm/?next=/plain/&done=sso").status_code == 200, "no callback"
    client.get("/confirm/?next=/plain/&by=sso")
    clock.shift(5)
    client.get(f"/callback/{user.pk}/")
    assert client.get("/confirm/?next=/plain/&done=sso").headers["Location"] == "/plain/"
    assert client.get("/amr/").content == b"mfa pwd"


@pytest.mark.requirement("ASVS 7.5.3")
def test_provider_that_logs_another_user_in_proves_nothing(engine: str, clock: Any) -> None:
    register(Provider())
    client = Client()
    client.force_login(User.objects.create_user("sso"))
    client.get("/confirm/?next=/plain/&by=sso")
    client.get(f"/callback/{User.objects.create_user('other').pk}/")
    assert client.get("/confirm/?next=/plain/&done=sso").status_code == 200
    assert client.get("/amr/").content == b""


def test_proof_elsewhere_ends_all_others_in_the_browser_that_made_it_alone(engine: str) -> None:
    register(Elsewhere())
    user = User.objects.create_user("sso")
    clients = Client(), Client()
    for client in clients:
        client.force_login(user)
    owner, thief = clients
    page = text(owner.get("/sessions/end-others/"))
    assert "/confirm/?by=sso&amp;next=%2Fsessions%2Fend-others%2F" in page
    owner.get("/confirm/?by=sso&next=/sessions/end-others/")
    back = owner.get("/confirm/?next=/sessions/end-others/&done=sso&ok=1").headers["Location"]
    assert back.startswith("/sessions/end-others/?proof=")
    assert 'name="proof"' in text(owner.get(back))
    assert thief.post(back).status_code == 200
    assert owner.post("/sessions/end-all/" + urlsplit(back).query).status_code == 404
    assert owner.post("/sessions/end-others/").status_code == 200
    [proof] = parse_qs(urlsplit(back).query)["proof"]
    assert owner.post("/sessions/end-all/", {"proof": proof}).status_code == 200
    assert owner.post("/sessions/end-others/", {"proof": proof}).status_code == 302
    assert thief.get("/closed/").status_code == 302


# --- wrong tries ---------------------------------------------------------------------------------


def test_wrong_passwords_are_slowed_by_user_and_address(db_engine: None, clock: Any) -> None:
    user = UserFactory()
    client, elsewhere = browser(user), browser(user, REMOTE_ADDR="192.0.2.9")
    for _ in range(5):
        assert confirm(client, "wrong").status_code == 200
    slowed = confirm(client)
    assert slowed.status_code == 429
    assert slowed.headers["Retry-After"] == "2"
    assert "Too many wrong tries. Try again in 2 seconds." in text(slowed)
    assert "That is not your password." not in text(slowed)
    assert confirm(elsewhere, "wrong").status_code == 200
    assert confirm(browser(UserFactory())).status_code == 302
    clock.shift(2.1)
    assert confirm(client, "wrong").status_code == 200
    assert confirm(client).headers["Retry-After"] == "4"
    clock.shift(4.1)
    assert confirm(client).status_code == 302
    assert confirm(client, "wrong").status_code == 200, "forgotten by the right one"


def test_many_addresses_help_nobody(db_engine: None, clock: Any) -> None:
    client = browser(UserFactory())
    codes = [
        confirm(client, "wrong", REMOTE_ADDR=f"192.0.2.{number}").status_code
        for number in range(30)
    ]
    assert codes[:20] == [200] * 20
    assert codes[21:] == [429] * 9


def test_nobody_waits_longer_than_five_minutes(db_engine: None, clock: Any) -> None:
    client = browser(UserFactory())
    for _ in range(40):
        confirm(client, "wrong")
        clock.shift(301)
    assert confirm(client).status_code == 302


@pytest.mark.parametrize("path", ["/sessions/end-others/", "/sessions/end-all/"])
def test_every_form_that_takes_a_proof_is_slowed(db_engine: None, clock: Any, path: str) -> None:
    client = browser(UserFactory())
    for _ in range(5):
        client.post(path, {"password": "wrong"})
    assert client.post(path, {"password": PASSWORD}).status_code == 429


def test_confirmation_works_while_the_cache_is_down(
    db_engine: None, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    class Down:
        def __getattr__(self, name: str) -> Any:
            raise ConnectionError("no cache")

    monkeypatch.setattr("django_jwtsession.pages.throttle.cache", Down())
    client = browser(UserFactory())
    assert confirm(client, "wrong").status_code == 200
    assert confirm(client).status_code == 302
    assert "ConnectionError" in caplog.text


def test_cache_that_keeps_nothing_stops_nobody(db_engine: None, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    client = browser(UserFactory())
    assert confirm(client).status_code == 302


def test_wrong_password_reaches_who_listens_to_failed_logins(db_engine: None) -> None:
    user = UserFactory()
    confirm(browser(user), "wrong")
    assert SessionEvent.objects.filter(kind="login_failed", user=user).exists()


def test_confirmation_leads_back_to_the_page_one_was_on(db_engine: None, clock: Any) -> None:
    client = browser(UserFactory())
    clock.shift(301)
    ask = client.get("/plain/", headers={"Referer": "http://testserver/closed/?a=1"})
    page = text(client.get(ask.headers["Location"]))
    assert '<a href="/closed/?a=1">Back</a>' in page
    for bad in ("//evil.example", "javascript:alert(1)", "https://evil.example/"):
        assert bad not in text(client.get("/confirm/", {"back": bad}))


def test_time_of_the_proof_is_now(db_engine: None, clock: Any) -> None:
    client = browser(UserFactory())
    clock.shift(1000)
    confirm(client)
    assert client.session.get("_jwtsession_proofs") == {"pwd": time.time()}
