"""Pages for which browsers do not sign by themselves, and logins for which they hold cookies back.

They do neither for what begins on another site, nor sign while they have a cookie of the name.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.test import AsyncClient, Client
from django.urls import path

from django_jwtsession.contrib.dbsc import device_bound
from django_jwtsession.contrib.dbsc.models import Binding
from tests import urls as site_urls
from tests.helpers import asgi

from .browser import PROOF, Browser, offer_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("row_engine")]

FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
FROM_HERE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}


def callback(request: HttpRequest) -> HttpResponse:
    """Log in, as after an identity provider's page."""
    login(request, User.objects.get(username="ada"))
    return redirect("/")


@device_bound(max_age=300)  # type: ignore[untyped-decorator]
def guarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse("guarded")


def asking_to_log_in(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        request.session["next"] = request.path
        return redirect("/login/")
    return HttpResponse(request.user.get_username())


def verified(request: HttpRequest) -> HttpResponse:
    """Verify an address by a link in a mail."""
    verified.visitors.append(request.user.get_username())  # type: ignore[attr-defined]
    return HttpResponse("verified")


async def averified(request: HttpRequest) -> HttpResponse:
    verified.visitors.append((await request.auser()).get_username())  # type: ignore[attr-defined]
    return HttpResponse("verified")


urlpatterns = [
    path("verified/", verified),
    path("averified/", averified),
    path("asking/", asking_to_log_in),
    path("callback/", callback),
    path("guarded/", guarded),
    *site_urls.urlpatterns,
]


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


@pytest.fixture(params=["proof", "strict"], autouse=True)
def mode(request: pytest.FixtureRequest, settings: Any) -> str:
    settings.DBSC = {"MODE": request.param}
    mode: str = request.param
    return mode


def register_without_cookies(browser: Browser) -> Any:
    """Register as Chromium does after a login that another site led to; keep its cookies."""
    kept, browser.client = browser.client, Client()
    try:
        return browser.register()
    finally:
        kept.cookies.update(browser.client.cookies)
        browser.client = kept


def log_in_from(browser: Browser, **headers: str) -> None:
    response = browser.client.get("/callback/", headers=headers, secure=True)
    browser.offer = offer_in(response)


def test_login_that_another_site_led_to_binds_the_session(
    browser: Browser, user: User, clock: Any
) -> None:
    log_in_from(browser, **FROM_ELSEWHERE)
    assert register_without_cookies(browser).status_code == 200
    for _ in range(3):
        assert browser.get("/").content == b"ada"
        clock.shift(601)
    assert browser.refreshes == 2
    assert Binding.objects.count() == 1


def test_copied_cookies_of_such_a_login_die_as_others(
    browser: Browser, user: User, clock: Any, mode: str
) -> None:
    log_in_from(browser, **FROM_ELSEWHERE)
    thief = browser.copy()
    register_without_cookies(browser)
    clock.shift(601)
    expected = {"proof": b"ada", "strict": b"anonymous"}[mode]
    assert thief.get("/", secure=True).content == expected
    assert browser.get("/").content == b"ada"


def test_login_on_the_site_itself_is_bound_with_its_cookie_alone(
    browser: Browser, user: User
) -> None:
    log_in_from(browser, **FROM_HERE)
    assert register_without_cookies(browser).status_code == 401
    assert browser.register().status_code == 200


def test_offer_of_another_login_binds_nothing_beside_a_cookie(browser: Browser, user: User) -> None:
    other = Browser()
    log_in_from(other, **FROM_ELSEWHERE)
    browser.login(user)
    browser.offer = other.offer
    assert browser.register().status_code == 403
    browser.client.cookies["sessionid"] = "x"
    assert browser.register().status_code == 401
    assert not Binding.objects.exists()


def test_offer_of_such_a_login_is_good_once_and_until_the_logout(
    browser: Browser, user: User, clock: Any
) -> None:
    log_in_from(browser, **FROM_ELSEWHERE)
    clock.shift(301)
    assert register_without_cookies(browser).status_code == 403
    log_in_from(browser, **FROM_ELSEWHERE)
    assert register_without_cookies(browser).status_code == 200
    assert register_without_cookies(browser).status_code == 403
    browser.client.post("/logout/", secure=True)
    assert register_without_cookies(browser).status_code == 401
    assert PROOF not in register_without_cookies(browser).cookies


# --- pages ---------------------------------------------------------------------------------------


def loads_again(response: Any) -> bool:
    return response.headers.get("Refresh") == "0" and "Location" not in response.headers


@pytest.mark.parametrize("page", ["/closed/", "/"])
def test_link_on_another_site_opens_the_page_in_strict_mode(
    browser: Browser, user: User, clock: Any, mode: str, page: str
) -> None:
    browser.bind(user)
    clock.shift(601)
    browser._forget_what_ended()
    response = browser.client.get(page, headers=FROM_ELSEWHERE, secure=True)
    assert loads_again(response) == (mode == "strict")
    assert response.status_code == 200
    if mode == "strict":
        assert response.headers["Cache-Control"] == "private, no-store"
        assert "Cookie" in response.headers["Vary"]
        assert not response.cookies
    assert browser.get(page, **FROM_HERE).status_code == 200
    assert browser.get("/").content == b"ada"


@pytest.mark.parametrize("every_request", [False, True])
def test_what_a_page_notes_for_a_visitor_does_not_take_the_place_of_the_session(
    browser: Browser, user: User, clock: Any, settings: Any, every_request: bool
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = every_request
    browser.bind(user)
    clock.shift(601)
    browser._forget_what_ended()
    browser.client.get("/asking/", headers=FROM_ELSEWHERE, secure=True)
    assert browser.get("/asking/", **FROM_HERE).content == b"ada"


@pytest.mark.parametrize("page", ["/verified/", "/averified/"])
def test_link_that_is_good_once_is_not_used_up_for_a_visitor(
    browser: Browser, user: User, clock: Any, page: str
) -> None:
    verified.visitors = []  # type: ignore[attr-defined]
    browser.bind(user)
    clock.shift(601)
    browser._forget_what_ended()
    response = browser.client.get(page, headers=FROM_ELSEWHERE, secure=True)
    if loads_again(response):
        response = browser.get(page, **FROM_HERE)
    assert response.content == b"verified"
    assert len(verified.visitors) == 1  # type: ignore[attr-defined]


def test_such_a_link_is_signed_for_first_under_asgi_too(
    browser: Browser, user: User, clock: Any, mode: str
) -> None:
    verified.visitors = []  # type: ignore[attr-defined]
    browser.bind(user)
    clock.shift(601)
    browser._forget_what_ended()
    client = AsyncClient()
    client.cookies = browser.client.cookies
    response = asgi.run(client.get, "/averified/", headers=FROM_ELSEWHERE, secure=True)
    assert loads_again(response) == (mode == "strict")
    assert verified.visitors == ([] if mode == "strict" else ["ada"])  # type: ignore[attr-defined]


def test_visitor_of_another_site_s_link_is_answered_at_once(browser: Browser, user: User) -> None:
    """Also with a session that is bound to nothing, or has ended."""
    for cookie in ("", "x"):
        browser.client.cookies["sessionid"] = cookie
        response = browser.client.get("/verified/", headers=FROM_ELSEWHERE, secure=True)
        assert response.content == b"verified"
    browser.login(user)
    response = browser.client.get("/verified/", headers=FROM_ELSEWHERE, secure=True)
    assert response.content == b"verified"


def test_page_is_loaded_again_once(browser: Browser, user: User, clock: Any) -> None:
    """Who has no key sees what a visitor sees."""
    browser.bind(user)
    clock.shift(601)
    browser._forget_what_ended()
    response = browser.client.get("/guarded/", headers=FROM_HERE, secure=True)
    assert (response.status_code, loads_again(response)) == (403, False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
        {},
    ],
)
def test_other_requests_are_left_as_they_are(
    browser: Browser, user: User, clock: Any, headers: dict[str, str]
) -> None:
    browser.bind(user)
    clock.shift(601)
    browser._forget_what_ended()
    response = browser.client.get("/closed/", headers=headers, secure=True)
    assert "Refresh" not in response.headers


@pytest.mark.parametrize("headers", [FROM_ELSEWHERE, FROM_HERE, {}])
def test_session_that_is_bound_to_nothing_is_left_as_it_is(
    browser: Browser, user: User, headers: dict[str, str]
) -> None:
    for _ in range(2):
        response = browser.client.get("/closed/", headers=headers, secure=True)
        assert "Refresh" not in response.headers
        browser.login(user)


def test_link_on_another_site_opens_a_guarded_page(
    browser: Browser, user: User, clock: Any, mode: str
) -> None:
    browser.bind(user)
    clock.shift(601)
    browser._forget_what_ended()
    response = browser.client.get("/guarded/", headers=FROM_ELSEWHERE, secure=True)
    expected = {"proof": 403, "strict": 200}[mode]
    assert (response.status_code, loads_again(response)) == (expected, True)
    assert browser.get("/guarded/", **FROM_HERE).content == b"guarded"


def test_proof_that_is_too_old_for_a_view_is_renewed(
    browser: Browser, user: User, clock: Any
) -> None:
    browser.bind(user)
    clock.shift(301)
    response = browser.client.get("/guarded/", headers=FROM_HERE, secure=True)
    assert (response.status_code, loads_again(response)) == (403, True)
    assert (response.cookies[PROOF].value, response.cookies[PROOF]["max-age"]) == ("", 0)
    assert response.cookies[PROOF]["secure"]
    browser.refresh()
    assert browser.get("/guarded/", **FROM_HERE).content == b"guarded"


def test_proof_of_another_session_is_taken_away_in_strict_mode(
    browser: Browser, user: User, mode: str
) -> None:
    """A late answer may have put it there; as long as it is, browsers do not sign."""
    before = Browser().bind(user)
    browser.bind(user)
    browser.client.cookies[PROOF] = before.client.cookies[PROOF].value
    response = browser.client.get("/closed/", headers=FROM_HERE, secure=True)
    assert loads_again(response) == (mode == "strict")
    assert (PROOF in response.cookies) == (mode == "strict")
    browser.refresh()
    assert browser.get("/closed/", **FROM_HERE).status_code == 200


@pytest.mark.parametrize("name", ["shop", "__Host-shop"])
def test_sites_of_one_host_have_proofs_of_their_own(
    browser: Browser, user: User, settings: Any, name: str
) -> None:
    browser.bind(user)
    settings.SESSION_COOKIE_NAME = name
    other = Browser()
    other.login(user)
    told = other.register().json()
    [credential] = told["credentials"]
    assert credential["name"] == "__Host-dbsc-shop"
    assert {"__Host-dbsc", "__Host-dbsc-shop"} == {
        each for each in {**browser.client.cookies, **other.client.cookies} if PROOF in each
    }
    assert other.client.get("/closed/", secure=True).status_code == 200
