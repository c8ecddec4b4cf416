"""The protocol from end to end, with the browser's part played in Python."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from django_jwtsession.contrib.dbsc import device_bound
from django_jwtsession.contrib.dbsc.models import Binding
from django_jwtsession.models import Session, SessionEvent
from django_jwtsession.models.kinds import EventKind as Kind
from django_jwtsession.revocation import revoke_session
from tests import urls as site_urls

from .browser import ORIGIN, PROOF, Browser, Key, offer_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("row_engine")]


def age(request: HttpRequest) -> HttpResponse:
    return HttpResponse(repr(request.session.device_bound))  # type: ignore[attr-defined]


@device_bound(max_age=300)  # type: ignore[untyped-decorator]
def guarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse("guarded")


@device_bound
async def aguarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse("guarded")


urlpatterns = [
    path("age/", age),
    path("guarded/", guarded),
    path("aguarded/", aguarded),
    *site_urls.urlpatterns,
]


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


def test_login_offers_a_binding_and_others_do_not(browser: Browser, user: User) -> None:
    response = browser.login(user)
    assert offer_in(response).keys() == {"path", "challenge", "authorization"}
    assert offer_in(response)["path"] == "/dbsc/start"
    assert "Secure-Session-Registration" not in browser.get("/").headers
    assert "Secure-Session-Registration" not in Client().get("/").headers


def test_registration_binds_the_session_to_the_key(browser: Browser, user: User) -> None:
    browser.login(user)
    response = browser.register()
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    [row] = Session.objects.all()
    assert response.json() == {
        "session_identifier": row.sid,
        "refresh_url": "/dbsc/refresh",
        "scope": {
            "origin": "https://testserver",
            "include_site": False,
            "scope_specification": [{"type": "exclude", "domain": "*", "path": "/static/"}],
        },
        "credentials": [
            {
                "type": "cookie",
                "name": PROOF,
                "attributes": "Path=/; Secure; HttpOnly; SameSite=Lax",
            }
        ],
    }
    [binding] = Binding.objects.all()
    assert (binding.pk, binding.algorithm) == (row.pk, "ES256")
    assert binding.jwk == {n: browser.key.jwk[n] for n in ("crv", "kty", "x", "y")}
    assert not {"dbsc", "jkt"} & row.get_decoded().keys()


def test_cookie_has_the_attributes_that_the_browser_is_told(browser: Browser, user: User) -> None:
    browser.login(user)
    morsel = browser.register().cookies[PROOF]
    told = {"path": "/", "secure": True, "httponly": True, "samesite": "Lax"}
    assert {name: morsel[name] for name in told} == told
    assert (morsel["domain"], morsel["max-age"]) == ("", 600)


def test_response_may_be_a_quoted_string(browser: Browser, user: User) -> None:
    browser.login(user)
    payload = {"authorization": browser.offer["authorization"], "jti": browser.offer["challenge"]}
    quoted = f'"{browser.key.jws(payload, jwk=browser.key.jwk)}"'
    assert browser.register(quoted).status_code == 200


def test_scope_is_the_origin_that_the_browser_knows(browser: Browser, user: User) -> None:
    """A proxy may take https off and not say so."""
    response = browser.client.post("/login/", {"username": "ada", "password": "correct horse"})
    browser.offer = offer_in(response)
    signed = {"authorization": browser.offer["authorization"], "jti": browser.offer["challenge"]}
    jws = browser.key.jws(signed, jwk=browser.key.jwk)
    headers = {**ORIGIN, "Secure-Session-Response": jws}
    told = browser.client.post(browser.offer["path"], headers=headers).json()
    assert told["scope"]["origin"] == "https://testserver"


def test_session_tells_how_fresh_the_proof_is(browser: Browser, user: User, clock: Any) -> None:
    browser.login(user)
    assert browser.get("/age/").content == b"None"
    browser.register()
    assert browser.get("/age/").content == b"0.001"  # true, as every age
    clock.shift(599)
    assert browser.get("/age/").content == b"599.0"
    clock.shift(1)
    assert browser.client.get("/age/", secure=True).content == b"600.0"
    clock.shift(1)
    assert browser.client.get("/age/", secure=True).content == b"None"
    assert browser.get("/age/").content == b"0.001"  # signs first


def test_refresh_asks_for_a_challenge_and_takes_its_signature(
    browser: Browser, user: User, clock: Any
) -> None:
    browser.bind(user)
    clock.shift(700)
    asked = browser.ask()
    assert asked.status_code == 403
    assert asked.headers["Secure-Session-Challenge"].endswith(f';id="{browser.sid}"')
    assert PROOF not in asked.cookies
    answered = browser.answer()
    assert (answered.status_code, answered["Content-Type"]) == (200, "application/json")
    assert answered.cookies[PROOF]["max-age"] == 600
    assert Binding.objects.get().last_proof_at.timestamp() == time.time()


def test_no_cache_keeps_an_answer(browser: Browser, user: User) -> None:
    login = browser.login(user)
    assert "private" in login["Cache-Control"]
    for answer in (browser.register(), browser.ask(), browser.answer(), browser.ask("x")):
        assert "no-store" in answer["Cache-Control"]


def test_each_proof_brings_the_challenge_of_the_next(
    browser: Browser, user: User, clock: Any
) -> None:
    browser.bind(user)
    for _ in range(3):
        clock.shift(590)
        assert browser.answer().status_code == 200
    assert browser.refreshes == 3


def test_previous_and_current_challenge_both_live(browser: Browser, user: User) -> None:
    browser.bind(user)
    browser.ask()
    previous = browser.challenge
    browser.ask()
    current = browser.challenge
    for challenge in (previous, current):
        assert browser.answer(browser.key.jws({"jti": challenge})).status_code == 200


@pytest.mark.parametrize("jti", ["used", "expired", "foreign", "registration", "none", 7, None])
def test_wrong_challenge_under_a_good_signature_is_a_race(
    browser: Browser, user: User, clock: Any, jti: Any
) -> None:
    other = Browser().bind(User.objects.create_user("bob", password="correct horse"))
    browser.bind(user)
    jtis = {"foreign": other.challenge, "registration": browser.offer["challenge"]}
    if jti in ("used", "expired"):
        jtis[jti] = browser.challenge
    if jti == "used":
        browser.answer()
    clock.shift(1201 if jti == "expired" else 1)
    response = browser.answer(browser.key.jws({"jti": jtis.get(jti, jti)}))
    assert response.status_code == 403
    assert PROOF not in response.cookies
    assert browser.answer().status_code == 200
    assert not SessionEvent.objects.filter(kind=Kind.BINDING_FAILED).exists()


def test_bad_signature_is_theft_and_ends_the_session(
    browser: Browser, user: User, security_log: Any
) -> None:
    browser.bind(user)
    sid = browser.sid
    response = browser.answer(Key().jws({"jti": browser.challenge}))
    assert (response.status_code, response.json()["continue"]) == (410, False)
    assert browser.client.get("/", secure=True).content == b"anonymous"
    assert not Session.objects.exists()
    assert not Binding.objects.exists()
    [event] = SessionEvent.objects.filter(kind=Kind.BINDING_FAILED)
    assert (event.sid, event.user_id) == (sid, user.pk)
    assert [record.reason for record in security_log] == ["binding_failed"]


def test_binding_is_in_the_history(browser: Browser, user: User) -> None:
    browser.bind(user)
    [event] = SessionEvent.objects.filter(kind=Kind.BOUND)
    assert (event.sid, event.user_id) == (browser.sid, user.pk)


# --- the end -------------------------------------------------------------------------------------


def test_logout_ends_the_binding_and_its_cookie(browser: Browser, user: User) -> None:
    browser.bind(user)
    sid = browser.sid
    response = browser.client.post("/logout/", secure=True)
    assert response.cookies[PROOF].value == ""
    assert response.cookies[PROOF]["secure"]
    assert not Binding.objects.exists()
    assert browser.ask(sid).status_code == 410


def test_revoked_session_has_no_refresh(browser: Browser, user: User) -> None:
    browser.bind(user)
    revoke_session(browser.sid)
    assert browser.refresh().status_code == 410


def test_expired_session_has_no_refresh(browser: Browser, user: User, clock: Any) -> None:
    browser.bind(user)
    clock.shift(8 * 86400)
    assert browser.refresh().status_code == 410


def test_nobody_has_no_refresh(browser: Browser, user: User) -> None:
    browser.bind(user)
    sid = browser.sid
    assert Browser().ask(sid).status_code == 410


def test_refresh_for_another_session_than_the_cookies_is_refused(
    browser: Browser, user: User
) -> None:
    other = Browser().bind(user)
    browser.bind(user)
    response = browser.answer(other.key.jws({"jti": other.challenge}), sid=other.sid)
    assert response.status_code == 403
    assert "Secure-Session-Challenge" not in response.headers
    assert other.refresh().status_code == 200


def test_second_login_of_another_user_ends_the_first_binding(browser: Browser, user: User) -> None:
    browser.bind(user)
    first, key = browser.sid, browser.key
    bob = User.objects.create_user("bob", password="correct horse")
    browser.key = Key()
    browser.bind(bob)
    assert browser.sid != first
    old = browser.post(
        "/dbsc/refresh",
        {"Sec-Secure-Session-Id": first, "Secure-Session-Response": key.jws({"jti": "x"})},
    )
    assert old.status_code in (403, 410)
    assert browser.refresh().status_code == 200


# --- guarded views -------------------------------------------------------------------------------


def test_guarded_view_wants_a_fresh_proof(browser: Browser, user: User, clock: Any) -> None:
    assert browser.get("/guarded/").status_code == 403
    browser.login(user)
    refused = browser.get("/guarded/")
    assert (refused.status_code, refused.headers["Refresh"]) == (403, "2")
    browser.register()
    assert browser.get("/guarded/").content == b"guarded"
    clock.shift(301)
    refused = browser.client.get("/guarded/", secure=True)
    assert refused.status_code == 403
    assert "Refresh" not in refused.headers


def only_staff(request: HttpRequest) -> bool:
    return request.user.is_authenticated and request.path != "/login/"


def test_rule_of_the_site_guards_all_views(browser: Browser, user: User, settings: Any) -> None:
    settings.DBSC = {"REQUIRE": f"{__name__}.only_staff"}
    assert browser.get("/").status_code == 200
    browser.login(user)
    assert browser.get("/").status_code == 403
    browser.register()
    assert browser.get("/").content == b"ada"
    assert browser.copy().get("/").status_code == 200
    del browser.client.cookies[PROOF]
    assert browser.client.get("/", secure=True).status_code == 403


def test_async_view_is_guarded_too(browser: Browser, user: User, clock: Any) -> None:
    assert browser.get("/aguarded/").status_code == 403
    browser.bind(user)
    assert browser.get("/aguarded/").content == b"guarded"
    clock.shift(601)
    assert browser.client.get("/aguarded/", secure=True).status_code == 403


async def test_rule_of_the_site_guards_async_sites(settings: Any, transactional_db: None) -> None:
    settings.DBSC = {"REQUIRE": f"{__name__}.all_but_login"}
    client = AsyncClient()
    assert (await client.get("/", secure=True)).status_code == 403
    assert (await client.get("/login/", secure=True)).status_code == 200


def all_but_login(request: HttpRequest) -> bool:
    return request.path != "/login/"
