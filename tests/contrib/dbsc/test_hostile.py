"""What is refused, and how: no redirect, no HTML, and 503 where it should be tried again."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from unittest import mock

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path as page_at
from jwt.algorithms import RSAAlgorithm

from django_jwtsession.contrib.dbsc import views
from django_jwtsession.contrib.dbsc.models import Binding
from django_jwtsession.models import Session
from django_jwtsession.tokens import base64url

from ... import urls
from .browser import PROOF, Browser, Key, compact

pytestmark = pytest.mark.django_db


def hs256(message: bytes) -> bytes:
    return hmac.digest(b"secret", message, hashlib.sha256)


def with_rsa(bits: int, payload: dict[str, Any], **members: Any) -> str:
    key = rsa.generate_private_key(65537, bits)
    jwk = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    sign = RSAAlgorithm(RSAAlgorithm.SHA256).sign
    header = {"alg": "RS256", "typ": "dbsc+jwt", "jwk": jwk, **members}
    header = {name: value for name, value in header.items() if value is not None}
    return compact(header, payload, lambda message: sign(message, key))


def nested(key: Key) -> str:
    """Return a JWS with arrays in arrays, as many as there is room for."""
    header = base64url.encode(
        json.dumps({"alg": "ES256", "typ": "dbsc+jwt", "jwk": key.jwk}).encode()
    )
    message = header + b"." + base64url.encode(b'{"jti":' + b"[" * 1300 + b"]" * 1300 + b"}")
    return (message + b"." + base64url.encode(key.sign(message))).decode()


def registrations(browser: Browser) -> dict[str, str]:
    """Return what no registration takes."""
    key, offer = browser.key, browser.offer
    good = {"authorization": offer["authorization"], "jti": offer["challenge"]}
    p384 = Key(ec.SECP384R1())
    header = {"alg": "ES256", "typ": "dbsc+jwt", "jwk": key.jwk}
    signed = key.jws(good, jwk=key.jwk)
    off_curve = {**key.jwk, "y": key.jwk["x"]}
    return {
        "alg none": compact({**header, "alg": "none"}, good),
        "alg HS256": compact({**header, "alg": "HS256"}, good, hs256),
        "wrong typ": key.jws(good, jwk=key.jwk, typ="JWT"),
        "no typ": key.jws(good, jwk=key.jwk, typ=None),
        "no jwk": key.jws(good),
        "another key's jwk": key.jws(good, jwk=Key().jwk),
        "P-384": compact({**header, "jwk": p384.jwk}, good, key.sign),
        "P-384 as P-256": compact({**header, "jwk": {**p384.jwk, "crv": "P-256"}}, good, key.sign),
        "off the curve": key.jws(good, jwk=off_curve),
        "jwk is a list": key.jws(good, jwk=[]),
        "jwk of numbers": key.jws(good, jwk={"kty": "EC", "crv": "P-256", "x": 1, "y": 2}),
        "RSA-1024": with_rsa(1024, good),
        "RSA-2048": with_rsa(2048, good),
        "crit": key.jws(good, jwk=key.jwk, crit=["b64"]),
        "truncated": signed[:-20],
        "no signature": signed.rpartition(".")[0] + ".",
        "two parts": signed.rpartition(".")[0],
        "8 KiB": key.jws({**good, "x": "x" * 8192}, jwk=key.jwk),
        "empty": "",
        "not base64": "a.b.c",
        "not ASCII": "\xe9.\xe9.\xe9",
        "payload is a list": key.jws([good], jwk=key.jwk),  # type: ignore[arg-type]
        "nested": key.jws({"jti": {}, "authorization": []}, jwk=key.jwk),
        "no challenge": key.jws({"authorization": offer["authorization"]}, jwk=key.jwk),
        "no authorization": key.jws({"jti": offer["challenge"]}, jwk=key.jwk),
        "another aud": key.jws({**good, "aud": "https://evil.test/dbsc/start"}, jwk=key.jwk),
        "aud is no URL": key.jws({**good, "aud": "https://["}, jwk=key.jwk),
        "aud is a list": key.jws({**good, "aud": ["https://testserver"]}, jwk=key.jwk),
        "another page's aud": key.jws({**good, "aud": "https://testserver/x"}, jwk=key.jwk),
        "very nested": nested(key),
        "swapped": key.jws(
            {"jti": offer["authorization"], "authorization": offer["challenge"]}, jwk=key.jwk
        ),
    }


NAMES = list(registrations(mock.Mock(key=Key(), offer={"authorization": "a", "challenge": "c"})))


@pytest.mark.parametrize("name", NAMES)
def test_registration_that_was_tampered_with_binds_nothing(
    browser: Browser, user: User, name: str
) -> None:
    browser.login(user)
    response = browser.register(registrations(browser)[name])
    assert response.status_code in (400, 403)
    assert response["Content-Type"] == "application/json"
    assert PROOF not in response.cookies
    assert not Binding.objects.exists()
    assert browser.get("/").content == b"ada"  # the session goes on
    assert browser.register().status_code == 200


@pytest.mark.parametrize("aud", ["https://testserver/dbsc/start", "https://testserver"])
def test_registration_may_name_its_audience(browser: Browser, user: User, aud: str) -> None:
    browser.login(user)
    payload = {"authorization": browser.offer["authorization"], "jti": browser.offer["challenge"]}
    signed = browser.key.jws({**payload, "aud": aud, "iat": 1}, jwk=browser.key.jwk)
    assert browser.register(signed).status_code == 200


def test_offer_is_good_once(browser: Browser, user: User) -> None:
    browser.bind(user)
    browser.key = Key()
    assert browser.register().status_code == 403
    assert Binding.objects.count() == 1


def test_offer_is_good_for_five_minutes(browser: Browser, user: User, clock: Any) -> None:
    browser.login(user)
    clock.shift(301)
    assert browser.register().status_code == 403
    assert not Binding.objects.exists()


def test_offer_of_a_login_before_is_no_good_after_the_next(
    browser: Browser, user: User, clock: Any
) -> None:
    browser.login(user)
    stolen = browser.offer
    clock.shift(10)
    browser.login(user)
    browser.offer, good = stolen, browser.offer
    assert browser.register().status_code == 403
    browser.offer = good
    assert browser.register().status_code == 200


def test_offer_of_another_session_binds_nothing(browser: Browser, user: User) -> None:
    other = Browser()
    other.login(user)
    browser.login(user)
    browser.offer = other.offer
    assert browser.register().status_code == 403


def test_thief_without_the_offer_binds_nothing(browser: Browser, user: User) -> None:
    browser.login(user)
    thief = Browser(browser.copy())
    thief.offer = {"path": "/dbsc/start", "challenge": "guess", "authorization": "guess"}
    assert thief.register().status_code == 403
    assert browser.register().status_code == 200


def test_visitor_binds_nothing(browser: Browser, user: User) -> None:
    browser.login(user)
    browser.client.cookies.clear()
    assert browser.register().status_code == 401


def refreshes(browser: Browser) -> dict[str, str]:
    """Return what is no signature of the challenge, without being one of another key."""
    key, good = browser.key, {"jti": browser.challenge}
    header, signed = {"alg": "ES256", "typ": "dbsc+jwt"}, browser.key.jws(good)
    p384 = Key(ec.SECP384R1())
    return {
        "alg none": compact({**header, "alg": "none"}, good),
        "alg HS256": compact({**header, "alg": "HS256"}, good, hs256),
        "wrong typ": key.jws(good, typ="dbp+jwt"),
        "no typ": key.jws(good, typ=None),
        "with a jwk": key.jws(good, jwk=key.jwk),
        "with another's jwk": Key().jws(good, jwk=Key().jwk),
        "P-384": compact({**header, "alg": "ES384"}, good, p384.sign),
        "P-384 as ES256": compact(header, good, p384.sign),
        "P-384 with its jwk": compact({**header, "jwk": p384.jwk}, good, p384.sign),
        "RSA-1024": with_rsa(1024, good, jwk=None),
        "RSA-1024 with its jwk": with_rsa(1024, good),
        "RSA-1024 as ES256": with_rsa(1024, good, alg="ES256", jwk=None),
        "RSA-2048": with_rsa(2048, good, jwk=None),
        "crit": key.jws(good, crit=["b64"]),
        "kid": key.jws(good, kid="1"),
        "truncated": signed[:-20],
        "no signature": signed.rpartition(".")[0] + ".",
        "two parts": signed.rpartition(".")[0],
        "8 KiB": key.jws({**good, "x": "x" * 8192}),
        "empty": "",
        "not base64": "a.b.c",
        "not ASCII": "\xe9.\xe9.\xe9",
        "payload is a list": key.jws([good]),  # type: ignore[arg-type]
        "very nested": nested(key),
        "another aud": key.jws({**good, "aud": "https://evil.test"}),
        "another page's aud": key.jws({**good, "aud": "https://testserver/dbsc/start"}),
    }


@pytest.mark.parametrize("name", list(refreshes(mock.Mock(key=Key(), challenge="c"))))
def test_refresh_that_was_tampered_with_gives_no_proof_and_ends_nothing(
    browser: Browser, user: User, name: str
) -> None:
    browser.bind(user)
    sid = browser.sid
    response = browser.answer(refreshes(browser)[name])
    assert response.status_code == 400
    assert response["Content-Type"] == "application/json"
    assert PROOF not in response.cookies
    assert Session.objects.get().sid == sid
    assert browser.get("/").content == b"ada"


@pytest.mark.parametrize("sid", ["", "x", "é", '"', "A" * 22, "A" * 9000])
def test_refresh_for_another_id_is_refused(browser: Browser, user: User, sid: str) -> None:
    browser.bind(user)
    response = browser.ask(sid)
    assert (response.status_code, "Secure-Session-Challenge" in response.headers) == (403, False)


@pytest.mark.parametrize("path", ["/dbsc/start", "/dbsc/refresh"])
@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("get", {"Origin": "https://testserver"}, 405),
        ("put", {"Origin": "https://testserver"}, 405),
        ("post", {}, 403),
        ("post", {"Origin": "null"}, 403),
        ("post", {"Origin": "https://evil.test"}, 403),
        ("post", {"Origin": "http://testserver"}, 403),
        ("post", {"Origin": "https://["}, 403),
        ("post", {"Origin": "https://testserver, https://testserver"}, 403),
        ("post", {"Origin": "https://testserver.evil.test"}, 403),
        ("post", {"Origin": "https://testserver", "Sec-Fetch-Site": "cross-site"}, 403),
        ("post", {"Origin": "https://testserver", "Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_other_sites_and_methods_are_refused(
    browser: Browser, user: User, path: str, method: str, headers: dict[str, str], status: int
) -> None:
    browser.bind(user)
    ids = {"Sec-Secure-Session-Id": browser.sid}
    response = browser.client.generic(method.upper(), path, headers={**ids, **headers}, secure=True)
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert "Secure-Session-Challenge" not in response.headers


def test_too_many_requests_are_answered_with_503(browser: Browser, user: User) -> None:
    browser.bind(user)
    statuses = [browser.ask().status_code for _ in range(views._MOST + 5)]
    assert statuses[0] == 403
    assert statuses[-1] == 503
    assert set(statuses) == {403, 503}


@pytest.mark.parametrize("path", ["/dbsc/start", "/dbsc/refresh"])
def test_database_out_of_reach_is_503(browser: Browser, user: User, path: str) -> None:
    browser.bind(user)
    with mock.patch(
        "django_jwtsession.backends.db.SessionStore._read", side_effect=OperationalError
    ):
        response = browser.post(path, {"Sec-Secure-Session-Id": browser.sid})
    assert response.status_code == 503


def maintenance(get_response: Any) -> Any:
    """Answer everything with a page, as such middlewares do."""
    return lambda _: HttpResponse("<h1>Back soon</h1>", status=404)


SITES: dict[str, dict[str, Any]] = {
    "APPEND_SLASH": {"APPEND_SLASH": True},
    "SECURE_SSL_REDIRECT": {"SECURE_SSL_REDIRECT": True},
    "PREPEND_WWW": {"PREPEND_WWW": True},
    "LOGIN_URL": {"LOGIN_URL": "/login/"},
    "CSRF_USE_SESSIONS": {"CSRF_USE_SESSIONS": True},
}


@pytest.mark.parametrize("name", SITES)
def test_nothing_redirects_the_protocol_or_asks_for_a_token(
    user: User, settings: Any, name: str
) -> None:
    for key, value in SITES[name].items():
        setattr(settings, key, value)
    settings.MIDDLEWARE = [
        "django.middleware.security.SecurityMiddleware",
        settings.MIDDLEWARE[0],
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        *settings.MIDDLEWARE[1:],
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    browser = Browser(Client(enforce_csrf_checks=True))
    assert browser.post("/dbsc/refresh", {"Sec-Secure-Session-Id": "x"}).status_code == 410
    assert browser.post("/dbsc/start", {}).status_code == 401
    for path in ("/dbsc/start/", "/dbsc/refresh/"):  # another address, where nothing is answered
        assert "Secure-Session-Challenge" not in browser.post(path, {}).headers


def test_page_of_a_maintenance_mode_does_not_end_the_binding(
    browser: Browser, user: User, settings: Any
) -> None:
    browser.bind(user)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.maintenance"]
    browser.client.handler.load_middleware()
    assert browser.client.get("/", secure=True).status_code == 404
    assert browser.refresh().status_code == 200


def test_requests_in_a_transaction_change_nothing_in_the_protocol(
    browser: Browser, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    browser.bind(user)
    assert browser.ask().status_code == 403
    assert browser.answer().status_code == 200
    assert browser.answer(Key().jws({"jti": browser.challenge})).status_code == 410
    assert not Session.objects.exists()


ENDS_A_BINDING = {302, 401, 404, 429}


@pytest.mark.parametrize("sid", [None, "x", ""])
def test_refresh_of_a_living_session_has_no_status_that_ends_it(
    browser: Browser, user: User, sid: str | None
) -> None:
    browser.bind(user)
    statuses = {browser.ask(sid).status_code for _ in range(views._MOST + 5)}
    assert not statuses & ENDS_A_BINDING


def test_a_refresh_extends_nothing(browser: Browser, user: User, clock: Any) -> None:
    browser.bind(user)
    before = Session.objects.get().expires_at
    clock.shift(4 * 86400)
    browser.refresh()
    assert Session.objects.get().expires_at == before


# --- an API that gives out tokens sends the signals of Django's login and logout ------------------


def give_token(request: HttpRequest) -> HttpResponse:
    thief = User.objects.get(username="eve")
    user_logged_in.send(sender=User, request=request, user=thief)
    return HttpResponse("token")


def end_token(request: HttpRequest) -> HttpResponse:
    user_logged_out.send(sender=User, request=request, user=User.objects.get(username="eve"))
    return HttpResponse("ended")


urlpatterns = [
    page_at("token/", give_token),
    page_at("ended/", end_token),
    *urls.urlpatterns,
]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("page", ["token/", "ended/"])
def test_token_of_an_api_neither_ends_a_binding_nor_offers_one(
    row_engine: str, browser: Browser, user: User, page: str
) -> None:
    User.objects.create_user("eve")
    browser.bind(user)
    thief = Client()
    thief.cookies["sessionid"] = browser.client.cookies["sessionid"].value
    response = thief.get(f"/{page}", secure=True)
    assert "Secure-Session-Registration" not in response.headers
    assert PROOF not in response.cookies
    assert Binding.objects.count() == 1
    assert browser.refresh().status_code == 200
