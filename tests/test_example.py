"""The example project with its own settings: sign-up, login, a closed page, logout."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookies import Morsel
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings
from django.utils import translation

from example_project import demo, env

ROOT = Path(__file__).resolve().parent.parent
WEEK = 7 * 24 * 60 * 60
SECRET = "c2l4dHkgc2VjcmV0IGJ5dGVzIG9mIG5vIG9uZSBhdCBhbGw="
PASSWORD = "an-engine-of-1843"
FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"
# Of the process that runs the tests, not of the example.
NOT_TAKEN = {"DATABASES", "PASSWORD_HASHERS"}


def example_settings(monkeypatch: pytest.MonkeyPatch, **environ: str) -> dict[str, Any]:
    """Return the example's settings for an environment, whatever a .env beside them says."""
    monkeypatch.setattr(env, "PATH", ROOT / "no.env")
    for name, value in {"SESSION_SECRET": SECRET, "ALLOWED_HOSTS": "testserver", **environ}.items():
        monkeypatch.setenv(name, value)
    module = runpy.run_path(str(ROOT / "example_project" / "settings.py"))
    return {k: v for k, v in module.items() if k.isupper() and k not in NOT_TAKEN}


@pytest.fixture(params=["cookie", "db", "hybrid"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["demo", "production"])
def browser(request: pytest.FixtureRequest, backend: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A browser on the example, on plain http in the demo and on https in production."""
    production = request.param == "production"
    values = example_settings(
        monkeypatch, DEBUG="0" if production else "1", SESSION_BACKEND=backend
    )
    with override_settings(**values, DEBUG_PROPAGATE_EXCEPTIONS=True):
        yield HTTPS(headers={"user-agent": FIREFOX}) if production else Client()


class HTTPS(Client):
    """Django's client over https."""

    def request(self, **request: Any) -> Any:
        return super().request(**{**request, "wsgi.url_scheme": "https", "SERVER_PORT": "443"})


def sign_up(browser: Client, name: str = "ada") -> Any:
    form = {"username": name, "password1": PASSWORD, "password2": PASSWORD}
    return browser.post("/signup", form)


def session_cookie(response: Any) -> Morsel[str]:
    morsel: Morsel[str] = response.cookies[settings.SESSION_COOKIE_NAME]
    return morsel


pytestmark = pytest.mark.django_db


# --- the flow ------------------------------------------------------------------------------------


def test_signing_up_logs_in_and_goes_to_the_profile(browser: Client):
    response = sign_up(browser)

    assert (response.status_code, response["Location"]) == (302, "/profile")
    page = browser.get("/profile").content.decode()
    assert "Hello, ada" in page
    assert get_user_model().objects.get().username == "ada"


def test_login_goes_to_the_profile_and_logout_to_the_login(browser: Client):
    get_user_model().objects.create_user("ada", password=PASSWORD)

    response = browser.post("/login", {"username": "ada", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/profile")
    assert browser.get("/profile").status_code == 200

    response = browser.post("/logout")
    assert (response.status_code, response["Location"]) == (302, "/login")
    assert session_cookie(response)["max-age"] == 0
    assert browser.get("/profile")["Location"] == "/login?next=/profile"


def test_profile_is_closed_to_anonymous_visitors(browser: Client):
    response = browser.get("/profile")

    assert (response.status_code, response["Location"]) == (302, "/login?next=/profile")
    assert settings.SESSION_COOKIE_NAME not in response.cookies
    assert browser.post("/profile/refresh")["Location"] == "/login?next=/profile/refresh"


def test_login_page_comes_back_to_where_the_visitor_wanted_to_go(browser: Client):
    get_user_model().objects.create_user("ada", password=PASSWORD)
    page = browser.get("/login?next=/profile").content.decode()
    assert 'name="next" value="/profile"' in page

    form = {"username": "ada", "password": PASSWORD, "next": "/admin/"}
    assert browser.post("/login", form)["Location"] == "/admin/"
    assert browser.get("/login")["Location"] == "/profile"
    assert browser.get("/signup")["Location"] == "/profile"


def test_logout_by_a_link_does_not_end_the_session(browser: Client):
    sign_up(browser)

    assert browser.get("/logout").status_code == 405
    assert browser.get("/profile").status_code == 200


def test_weak_password_makes_no_account(browser: Client):
    form = {"username": "ada", "password1": "12345678", "password2": "12345678"}
    response = browser.post("/signup", form)

    assert response.status_code == 200
    assert "too common" in response.content.decode()
    assert not get_user_model().objects.exists()


def test_copied_cookie_is_anonymous_after_logout(browser: Client):
    copy = session_cookie(sign_up(browser)).value
    browser.post("/logout")

    browser.cookies[settings.SESSION_COOKIE_NAME] = copy

    assert browser.get("/profile")["Location"] == "/login?next=/profile"


# --- the cookie ----------------------------------------------------------------------------------


def test_session_cookie_lasts_seven_days_and_scripts_cannot_read_it(browser: Client):
    cookie = session_cookie(sign_up(browser))

    assert cookie["max-age"] == WEEK
    expires = parsedate_to_datetime(cookie["expires"]).timestamp()
    assert expires == pytest.approx(time.time() + WEEK, abs=10)
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert not cookie["domain"]


@pytest.mark.parametrize(
    ("browser", "name", "secure"),
    [("demo", "sessionid", ""), ("production", "__Host-sessionid", True)],
    indirect=["browser"],
)
def test_session_cookie_is_secure_except_in_the_demo(browser: Client, name: str, secure: object):
    cookie = session_cookie(sign_up(browser))

    assert (cookie.key, cookie["secure"]) == (name, secure)


def test_production_sends_plain_http_to_https(monkeypatch: pytest.MonkeyPatch):
    with override_settings(**example_settings(monkeypatch, DEBUG="0")):
        response = Client().get("/profile")

    assert (response.status_code, response["Location"]) == (301, "https://testserver/profile")


# --- the profile ---------------------------------------------------------------------------------


def test_profile_shows_device_engine_and_the_end_that_refresh_moves(
    browser: Client, backend: str, clock: Any
):
    browser.defaults["HTTP_USER_AGENT"] = FIREFOX
    sign_up(browser)
    clock.shift(3600)

    page = browser.get("/profile").content.decode()
    assert "Firefox 149 on Ubuntu" in page
    assert f"<code>{backend}</code>" in page
    assert shown_end(page) == pytest.approx(time.time() + WEEK - 3600, abs=1)

    response = browser.post("/profile/refresh", follow=True)
    page = response.content.decode()
    assert "Your session has been extended." in page
    assert shown_end(page) == pytest.approx(time.time() + WEEK, abs=1)


def shown_end(page: str) -> float:
    at = re.findall(r'Session ends</dt><dd><time datetime="(.*?)Z">', page)[0]
    return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()


def test_new_password_is_chosen_in_the_sites_own_style_and_linked_from_the_sessions(
    browser: Client,
):
    sign_up(browser)
    assert 'href="/password"' in browser.get("/sessions/").content.decode()
    page = browser.get("/password").content.decode()
    assert '<a class="brand"' in page
    new = "another-engine-of-1843"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    response = browser.post("/password", form, follow=True)
    assert "Your password was changed." in response.content.decode()
    assert "Hello, ada" in response.content.decode()


@pytest.mark.parametrize(
    ("language", "words"),
    [("de", "Registrieren"), ("fr", "Un site avec des"), ("es", "Registrarse"), ("it", "Sign up")],
)
def test_site_speaks_four_languages(browser: Client, language: str, words: str):
    with translation.override(None):  # the middleware leaves its own to the tests that follow
        page = browser.get("/", headers={"accept-language": language}).content.decode()
        assert words in page
        browser.post("/i18n/setlang/", {"language": "de"})
        assert "Registrieren" in browser.get("/").content.decode()


# --- settings and the demo -----------------------------------------------------------------------


def test_missing_secret_is_said_in_words(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ImproperlyConfigured, match="make demo"):
        example_settings(monkeypatch, SESSION_SECRET="")


def test_unknown_engine_is_answered_with_the_known_ones(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ImproperlyConfigured, match="cookie, db, hybrid"):
        example_settings(monkeypatch, SESSION_BACKEND="redis")


def test_env_file_keeps_what_is_set_and_is_its_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SESSION_SECRET", raising=False)
    monkeypatch.setenv("FROM_ENVIRONMENT", "1")
    file = tmp_path / ".env"
    wanted = {"SESSION_SECRET": "new==", "DEBUG_": "1", "FROM_ENVIRONMENT": "2"}

    assert env.add_missing(wanted, file) == ["SESSION_SECRET", "DEBUG_"]
    assert env.add_missing({"SESSION_SECRET": "other", "MORE": "3"}, file) == ["MORE"]

    assert file.read_text() == "SESSION_SECRET=new==\nDEBUG_=1\nMORE=3\n"
    assert file.stat().st_mode & 0o077 == 0
    assert env.read(file)["SESSION_SECRET"] == "new=="


def test_env_file_is_read_with_comments_quotes_and_export(tmp_path: Path):
    file = tmp_path / ".env"
    file.write_text("# a comment=1\nexport QUOTED_='a b'\n\nPLAIN_ = c \nnothing\n")

    found = env.read(file)

    assert (found["QUOTED_"], found["PLAIN_"]) == ("a b", "c")
    assert not [name for name in found if name.startswith("#") or name == "nothing"]


def test_demo_users_keep_their_sessions_when_the_demo_starts_again(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("STAFF_PASSWORD", PASSWORD)
    assert demo.make_user("staff", is_staff=True, is_superuser=True) == PASSWORD
    before = get_user_model().objects.get()

    demo.make_user("staff", is_staff=True, is_superuser=True)

    after = get_user_model().objects.get()
    assert after.password == before.password
    assert after.check_password(PASSWORD)
    assert after.is_staff


def test_demo_says_the_passwords_and_that_the_cookie_is_not_secure(
    monkeypatch: pytest.MonkeyPatch,
):
    values = example_settings(monkeypatch, DEBUG="1", SESSION_BACKEND="cookie")
    with override_settings(**values):
        words = demo.greeting("127.0.0.1:8000", {"demo": "first-pass", "staff": "second-pass"})

    assert "first-pass" in words
    assert "second-pass" in words
    assert "not Secure: plain http with DEBUG on" in words
    assert "Engine   cookie" in words


@pytest.mark.processes
def test_production_settings_pass_the_deployment_checks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SESSION_SECRET", SECRET)
    monkeypatch.setenv("ALLOWED_HOSTS", "example.com")
    monkeypatch.setenv("DEBUG", "0")
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
