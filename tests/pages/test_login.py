"""Login, logout, the session as JSON, the public keys."""

from __future__ import annotations

import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import reverse

from django_jwtsession.conf import get_config
from django_jwtsession.models import Session
from django_jwtsession.pages import login as views

from ..factories import PASSWORD, UserFactory, browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.urls")]

ENGINES = [f"django_jwtsession.backends.{name}" for name in ("cookie", "db", "hybrid")]
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}
DAY = 86400


@pytest.fixture(autouse=True, params=ENGINES)
def site(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.SESSION_ENGINE = request.param
    settings.LOGIN_URL = "login"
    settings.LOGIN_REDIRECT_URL = "/closed/"


def credentials(**more: str) -> dict[str, str]:
    return {"username": UserFactory().username, "password": PASSWORD} | more


def unguarded(path: str, data: dict[str, str]) -> Any:
    """A POST as the middleware leaves it, past the CSRF check."""
    request: Any = RequestFactory().post(path, data)
    request._dont_enforce_csrf_checks = True
    request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    return request


# --- login ---------------------------------------------------------------------------------------


def test_login_opens_what_is_closed_and_goes_where_the_site_says(client: Client) -> None:
    response = client.post(reverse("login"), credentials())
    assert response.headers["Location"] == "/closed/"
    assert client.get("/closed/").status_code == 200


def test_closed_page_leads_to_the_login_and_back(client: Client) -> None:
    login = client.get("/closed/?a=1").headers["Location"]
    page = client.get(login)
    assert 'name="next" value="/closed/?a=1"' in page.content.decode()
    response = client.post("/login/", credentials(next="/closed/?a=1"))
    assert response.headers["Location"] == "/closed/?a=1"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "///evil", "javascript:alert(1)", "\\\\e"]
)
@pytest.mark.requirement("RFC 9700 4.11")
def test_login_never_leads_to_another_site(client: Client, target: str) -> None:
    response = client.post(f"/login/?next={target}", credentials(next=target))
    assert response.headers["Location"] == "/closed/"
    assert target not in client.get(f"/login/?next={target}").content.decode()


def test_wrong_password_is_said_in_words_that_a_screen_reader_announces(client: Client) -> None:
    page = client.post("/login/", credentials(password="wrong")).content.decode()
    assert 'role="alert"' in page
    assert "correct username and password" in page
    assert "<title>Error: " in page
    assert "wrong" not in page


def test_login_page_is_never_stored(client: Client) -> None:
    assert "no-store" in client.get("/login/").headers["Cache-Control"]
    assert "no-store" in client.post("/login/", credentials()).headers["Cache-Control"]


def test_login_without_csrf_token_is_refused() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/login/", credentials()).status_code == 403


@pytest.mark.parametrize("name", ["login", "logout"])
@pytest.mark.requirement("ASVS 7.6.2", "RFC 9700 4.7")
def test_other_sites_forms_are_refused_by_fetch_metadata(client: Client, name: str) -> None:
    response = client.post(reverse(name), credentials(), headers=CROSS_SITE)
    assert response.status_code == 403
    assert not response.cookies


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none"])
def test_own_forms_pass_fetch_metadata(client: Client, site: str) -> None:
    response = client.post("/login/", credentials(), headers={"Sec-Fetch-Site": site})
    assert response.status_code == 302


def test_link_from_another_site_opens_the_login_page(client: Client) -> None:
    assert client.get("/login/", headers=CROSS_SITE).status_code == 200


def test_password_stays_out_of_error_reports() -> None:
    request = unguarded("/login/", {"username": "ada", "password": "wrong"})
    views.LoginView.as_view()(request)
    assert request.sensitive_post_parameters == "__ALL__"


def test_login_and_logout_are_open_where_the_site_closes_everything(settings: Any) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    client = Client()
    assert client.get("/").status_code == 302
    assert client.get("/login/").status_code == 200
    assert client.get("/session/").json()["authenticated"] is False
    assert client.get("/.well-known/jwks.json").status_code == 200
    # Not to the login with next=/logout/, which would answer 405 in the end.
    assert client.post("/logout/").headers["Location"] == "/login/"


def test_login_page_is_written_from_right_to_left_where_its_language_is(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_jwtsession.pages.language.is_translated", lambda: True)
    with override_settings(LANGUAGE_CODE="ar"):
        assert '<html lang="ar" dir="rtl">' in client.get("/login/").content.decode()


def test_renamed_next_field_is_kept_by_the_form() -> None:
    request = RequestFactory().get("/login/?to=/closed/")
    response = views.LoginView.as_view(redirect_field_name="to")(request)
    assert 'name="to" value="/closed/"' in response.rendered_content


# --- logout --------------------------------------------------------------------------------------


def test_logout_ends_the_session_and_goes_to_the_login(client: Client) -> None:
    client.post("/login/", credentials())
    response = client.post(reverse("logout"))
    assert response.headers["Location"] == "/login/"
    assert response.cookies["sessionid"]["max-age"] == 0
    assert "no-store" in response.headers["Cache-Control"]
    assert "Clear-Site-Data" not in response.headers
    assert client.get("/closed/").status_code == 302


def test_logout_prefers_the_sites_own_page(client: Client, settings: Any) -> None:
    settings.LOGOUT_REDIRECT_URL = "home"
    assert client.post("/logout/").headers["Location"] == "/"
    assert client.post("/logout/", {"next": "/closed/"}).headers["Location"] == "/closed/"
    assert client.post("/logout/", {"next": "//evil.example"}).headers["Location"] == "/"


@pytest.mark.parametrize("target", ["/logout/", "/logout/?next=/logout/"])
def test_logout_never_leads_to_itself(client: Client, target: str) -> None:
    assert client.post("/logout/", {"next": target}).headers["Location"] == "/login/"


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_logout_by_anything_but_post_is_refused_and_ends_nothing(method: str) -> None:
    client = browser(UserFactory())
    assert getattr(client, method)("/logout/").status_code == 405
    assert client.get("/closed/").status_code == 200


def test_logout_without_csrf_token_is_refused_and_ends_nothing() -> None:
    client = browser(UserFactory(), enforce_csrf_checks=False)
    client.handler.enforce_csrf_checks = True
    assert client.post("/logout/").status_code == 403
    assert client.get("/closed/").status_code == 200


def test_logout_clears_what_the_site_wants_cleared() -> None:
    view = views.LogoutView.as_view(clear_site_data=("cache", "storage"))
    response = view(unguarded("/logout/", {}))
    assert response.headers["Clear-Site-Data"] == '"cache", "storage"'


# --- session/ ------------------------------------------------------------------------------------


def test_front_end_learns_who_is_logged_in_and_until_when(settings: Any) -> None:
    user = UserFactory()
    with time_machine.travel("2030-01-01T00:00Z", tick=False) as clock:
        client = browser(user)
        response = client.get(reverse("jwtsession:session"))
        answer = response.json()
        assert answer["authenticated"] is True
        assert answer["sub"] == str(user.pk)
        assert answer["sid"] == client.session.sid
        assert answer["exp"] == 1893456000 + settings.SESSION_COOKIE_AGE
        assert ("rv" in answer) is settings.SESSION_ENGINE.endswith("hybrid")
        assert "no-store" in response.headers["Cache-Control"]
        assert "Cookie" in response.headers["Vary"]

        clock.shift(4 * DAY)  # of 7
        response = client.get("/session/")
        assert response.json()["exp"] == 1893456000 + 11 * DAY
        assert response.cookies["sessionid"]["max-age"] == 7 * DAY

        clock.shift(6 * DAY)
        assert client.get("/session/").json()["authenticated"] is True
        clock.shift(8 * DAY)
        assert client.get("/session/").json()["authenticated"] is False


def test_asking_alone_keeps_no_session_alive_longer_than_half_of_its_time(settings: Any) -> None:
    if settings.SESSION_ENGINE.endswith("hybrid"):  # its answer renews the copy of the row
        settings.SESSION_ENGINE = ENGINES[0]
    client = browser(UserFactory())
    assert "sessionid" not in client.get("/session/").cookies


def test_front_end_gets_a_new_copy_with_the_cookie_that_comes_along(settings: Any) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.hybrid"
    with time_machine.travel("2030-01-01T00:00Z", tick=False) as clock:
        client = browser(UserFactory())
        for _ in range(3):
            clock.shift(61)  # past rv
            response = client.get("/session/")
            token = response.cookies["sessionid"].value
            claims = get_config().codec.read(token, time.time())
            assert response.json()["rv"] == claims.rv == int(time.time()) + 60
            assert response.json()["exp"] == 1893456000 + settings.SESSION_COOKIE_AGE


def test_session_that_was_ended_elsewhere_is_not_authenticated(settings: Any) -> None:
    if settings.SESSION_ENGINE.endswith("cookie"):  # it has no row
        settings.SESSION_ENGINE = ENGINES[1]
    # It has read the user before the view finds the row gone.
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    client = browser(UserFactory())
    Session._base_manager.all().delete()  # past the feed
    assert client.get("/session/").json() == {
        "authenticated": False,
        "sub": None,
        "sid": None,
        "exp": None,
    }


def test_without_our_middleware_the_answer_promises_no_more_than_the_cookie(
    settings: Any,
) -> None:
    settings.MIDDLEWARE = [
        name.replace("django_jwtsession", "django.contrib.sessions") for name in settings.MIDDLEWARE
    ]
    with time_machine.travel("2030-01-01T00:00Z", tick=False) as clock:
        client = browser(UserFactory())
        clock.shift(4 * DAY)
        response = client.get("/session/")
        assert "sessionid" not in response.cookies
        assert response.json()["exp"] in {1893456000 + settings.SESSION_COOKIE_AGE, None}


def test_front_end_of_an_anonymous_visitor_gets_no_session(client: Client) -> None:
    response = client.get("/session/")
    nobody = {"authenticated": False, "sub": None, "sid": None, "exp": None}
    assert response.json() == nobody
    assert not response.cookies


def test_deactivated_user_is_not_authenticated() -> None:
    user = UserFactory()
    client = browser(user)
    user.is_active = False
    user.save()
    assert client.get("/session/").json()["authenticated"] is False


def test_session_is_read_only(client: Client) -> None:
    assert client.post("/session/").status_code == 405


def test_session_works_with_other_engines(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    user = UserFactory()
    answer = browser(user).get("/session/").json()
    assert answer == {"authenticated": True, "sub": str(user.pk), "sid": None, "exp": None}


@pytest.mark.django_db(transaction=True)
async def test_pages_work_under_asgi(async_client: AsyncClient) -> None:
    from asgiref.sync import sync_to_async

    data = await sync_to_async(credentials)()
    assert (await async_client.get("/login/")).status_code == 200
    assert (await async_client.post("/login/", data)).status_code == 302
    assert (await async_client.get("/session/")).json()["authenticated"] is True
    assert (await async_client.post("/logout/")).headers["Location"] == "/login/"
    assert (await async_client.get("/session/")).json()["authenticated"] is False
    await sync_to_async(connections.close_all)()  # this loop's thread has connections of its own


# --- .well-known/jwks.json -----------------------------------------------------------------------


def generated(kind: str, capsys: Any) -> str:
    call_command("jwtsession", "keygen", "--type", kind)
    text: str = capsys.readouterr().out.strip()
    return text


def test_public_keys_are_published_and_no_private_member_ever(
    client: Client, settings: Any, capsys: Any, tmp_path: Path
) -> None:
    secret, ec, ed = (generated(kind, capsys) for kind in ("secret", "ec", "ed25519"))
    path = tmp_path / "key.pem"
    path.write_text(generated("ec", capsys))
    settings.JWTSESSION = {"KEYS": [secret, ec, ed.encode(), path], "ALGORITHMS": ["ES256"]}
    response = client.get("/.well-known/jwks.json")
    keys = json.loads(response.content)["keys"]
    assert [key["kty"] for key in keys] == ["EC", "OKP", "EC"]
    assert [key.get("alg") for key in keys] == ["ES256", None, "ES256"]
    for key in keys:
        assert set(key) <= {"kty", "crv", "x", "y", "use", "alg", "kid"}
        assert key["use"] == "sig"
    # The issuing key's kid is what tokens carry.
    assert keys[0]["kid"] == get_config().codec.issuing_key(0).kid


def test_secrets_have_no_public_half(client: Client, settings: Any) -> None:
    response = client.get("/.well-known/jwks.json")
    assert json.loads(response.content) == {"keys": []}
    assert settings.SECRET_KEY.encode() not in response.content


def test_public_keys_are_cached_and_asked_for_conditionally(client: Client) -> None:
    client.cookies["sessionid"] = "not-a-token"
    response = client.get("/.well-known/jwks.json")
    assert response.headers["Content-Type"] == "application/jwk-set+json"
    assert set(response.headers["Cache-Control"].split(", ")) == {"public", "max-age=3600"}
    # The session was not touched: one answer is for everyone.
    assert "Vary" not in response.headers
    assert not response.cookies
    etag = response.headers["ETag"]
    again = client.get("/.well-known/jwks.json", headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert client.post("/.well-known/jwks.json").status_code == 405


def test_new_key_changes_the_etag(client: Client, settings: Any, capsys: Any) -> None:
    before = client.get("/.well-known/jwks.json").headers["ETag"]
    settings.JWTSESSION = {"KEYS": ["x" * 32, generated("ec", capsys)]}
    assert client.get("/.well-known/jwks.json").headers["ETag"] != before
