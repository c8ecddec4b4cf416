"""manage.py jwtsession audit: each verdict, and a setting that turns it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import include, path
from django.views.generic import View

from django_jwtsession.decorators import FreshLoginMixin, fresh_login
from django_jwtsession.management.audit import REQUIREMENTS
from django_jwtsession.models import Revocation

from ..factories import SessionFactory

pytestmark = pytest.mark.django_db

OURS = "django_jwtsession.backends."
DJANGO = "django.contrib.sessions.backends."
SECRET = "q0Vx3yJ8m1wZ5nT7bR2kL9sD4fG6hC0aPeUiXoYvWuE="
PEM = (
    generate_private_key(SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
GOOD: dict[str, Any] = {
    "SECRET_KEY": SECRET,
    "SESSION_ENGINE": f"{OURS}hybrid",
    "SESSION_COOKIE_NAME": "__Host-sessionid",
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
    "JWTSESSION": {"AUDIENCE": "https://shop.example"},
}
# What settings show; all others are in the site's own code or papers.
SHOWN = {
    *("3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.3.5"),
    *("7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.3.1", "7.3.2"),
    *("7.4.1", "7.4.2", "7.4.3", "7.4.5", "7.5.2", "7.6.2"),
    *("9.1.1", "9.1.2", "9.1.3", "9.2.1", "9.2.2", "9.2.3", "9.2.4"),
}


def audit(capsys: Any, *arguments: str, **settings: Any) -> tuple[int, str]:
    """Return the exit code of the command, and what it printed."""
    code = 0
    with override_settings(**GOOD | settings):
        try:
            call_command("jwtsession", "audit", *arguments)
        except SystemExit as end:
            code = int(str(end.code))
    return code, capsys.readouterr().out


def sheet(capsys: Any, **settings: Any) -> dict[str, dict[str, Any]]:
    """Return the requirements of the JSON by their numbers."""
    _, text = audit(capsys, "--format", "json", **settings)
    return {one["id"]: one for one in json.loads(text)["requirements"]}


def jwt(**values: Any) -> dict[str, Any]:
    return {"JWTSESSION": {"AUDIENCE": "https://shop.example", **values}}


def backends(*names: str) -> dict[str, Any]:
    return {"AUTHENTICATION_BACKENDS": [f"django.contrib.auth.backends.{name}" for name in names]}


# --- URLconfs that tests name --------------------------------------------------------------------


@fresh_login
def change_email(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class Pay(FreshLoginMixin, View):
    login_methods = ("otp",)


class NoPages:
    urlpatterns: tuple[Any, ...] = ()


class Broken:
    urlpatterns: Any = property(lambda _: set[Any]().pop())  # KeyError, a LookupError


class NoAdmin:
    urlpatterns = (path("", include("django_jwtsession.urls")),)


class Guarded:
    urlpatterns = (
        path("email/", change_email, name="change_email"),
        path("", include([path("pay/", Pay.as_view(), name="pay")])),
        path("", include("django_jwtsession.urls")),
        path("admin/", admin.site.urls),
    )


# --- verdicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["cookie", "db", "hybrid"])
def test_good_site_meets_all_that_settings_show(capsys: Any, engine: str) -> None:
    found = sheet(capsys, SESSION_ENGINE=f"{OURS}{engine}")
    assert {k for k, one in found.items() if one["verdict"] == "met"} == SHOWN
    assert {k for k, one in found.items() if one["verdict"] == "yours"} == set(found) - SHOWN
    assert not any(one["beside"] for one in found.values())


# The requirement, its verdict, the setting that decides it, and the settings that turn it so.
TURNS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("3.3.1", "not met", "SESSION_COOKIE_SECURE", {"SESSION_COOKIE_SECURE": False}),
    ("3.3.1", "not met", "SESSION_COOKIE_NAME", {"SESSION_COOKIE_NAME": "sessionid"}),
    ("3.3.1", "met", "SESSION_COOKIE_NAME", {"SESSION_COOKIE_NAME": "__Secure-sessionid"}),
    ("3.3.1", "not met", "SESSION_COOKIE_NAME", {"SESSION_COOKIE_DOMAIN": "shop.example"}),
    ("3.3.2", "not met", "SESSION_COOKIE_SAMESITE", {"SESSION_COOKIE_SAMESITE": "None"}),
    ("3.3.2", "not met", "SESSION_COOKIE_SAMESITE", {"SESSION_COOKIE_SAMESITE": False}),
    ("3.3.2", "met", "SESSION_COOKIE_SAMESITE", {"SESSION_COOKIE_SAMESITE": "Strict"}),
    ("3.3.3", "not met", "SESSION_COOKIE_NAME", {"SESSION_COOKIE_NAME": "__Secure-sessionid"}),
    ("3.3.3", "not met", "SESSION_COOKIE_NAME", {"SESSION_COOKIE_PATH": "/shop/"}),
    (
        "3.3.3",
        "yours",
        "SESSION_COOKIE_DOMAIN",
        {"SESSION_COOKIE_NAME": "__Secure-s", "SESSION_COOKIE_DOMAIN": "shop.example"},
    ),
    ("3.3.4", "not met", "SESSION_COOKIE_HTTPONLY", {"SESSION_COOKIE_HTTPONLY": False}),
    ("3.3.5", "not met", "SESSION_ENGINE", {"SESSION_ENGINE": f"{DJANGO}signed_cookies"}),
    ("3.3.5", "met", "SESSION_ENGINE", {"SESSION_ENGINE": f"{DJANGO}db"}),
    (
        "7.1.2",
        "not met",
        'JWTSESSION["MAX_SESSIONS_PER_USER"]',
        {"SESSION_ENGINE": f"{OURS}cookie", **jwt(MAX_SESSIONS_PER_USER=3)},
    ),
    ("7.1.2", "yours", 'JWTSESSION["POLICY"]', jwt(POLICY="django_jwtsession.policy.staff")),
    ("7.2.1", "not met", "MIDDLEWARE", {"MIDDLEWARE": []}),
    ("7.2.2", "yours", "SESSION_ENGINE", {"SESSION_ENGINE": f"{DJANGO}db"}),
    ("7.2.2", "not met", "SESSION_ENGINE", {"SESSION_ENGINE": "no.such.engine"}),
    ("7.2.3", "not met", "SESSION_ENGINE", {"SESSION_ENGINE": ""}),
    ("7.2.4", "not met", 'JWTSESSION["REVOCATION_POLL"]', jwt(REVOCATION_POLL=None)),
    ("7.2.4", "not met", "SESSION_ENGINE", {"SESSION_ENGINE": f"{DJANGO}signed_cookies"}),
    ("7.1.1", "not met", "SESSION_COOKIE_AGE", {"SESSION_COOKIE_AGE": "1209600"}),
    ("7.3.1", "not met", "SESSION_COOKIE_AGE", {"SESSION_COOKIE_AGE": "1209600"}),
    ("7.3.1", "not met", "SESSION_COOKIE_AGE", {"SESSION_COOKIE_AGE": 91 * 86400}),
    ("7.3.2", "not met", 'JWTSESSION["ABSOLUTE_AGE"]', jwt(ABSOLUTE_AGE=timedelta(days=400))),
    ("7.3.2", "not met", "SESSION_ENGINE", {"SESSION_ENGINE": f"{DJANGO}db"}),
    ("7.4.1", "not met", 'JWTSESSION["REVOCATION_POLL"]', jwt(REVOCATION_POLL=None)),
    ("7.4.1", "not met", 'JWTSESSION["REVOCATION_POLL"]', jwt(REVOCATION_POLL=600)),
    ("7.4.1", "not met", 'JWTSESSION["STALE_IF_ERROR"]', jwt(STALE_IF_ERROR=86400)),
    ("7.4.1", "not met", "SESSION_ENGINE", {"SESSION_ENGINE": f"{DJANGO}signed_cookies"}),
    (
        "7.4.1",
        "met",
        "SESSION_ENGINE",
        {"SESSION_ENGINE": f"{OURS}db", **jwt(REVOCATION_POLL=None)},
    ),
    ("7.4.2", "not met", "AUTHENTICATION_BACKENDS", backends("AllowAllUsersModelBackend")),
    ("7.4.2", "not met", "AUTHENTICATION_BACKENDS", backends("NoSuchBackend")),
    ("7.4.2", "not met", "AUTHENTICATION_BACKENDS", backends()),
    ("7.4.3", "not met", 'JWTSESSION["REVOCATION_POLL"]', jwt(REVOCATION_POLL=None)),
    ("7.4.4", "not met", "ROOT_URLCONF", {"ROOT_URLCONF": NoPages}),
    ("7.4.4", "not met", "ROOT_URLCONF", {"ROOT_URLCONF": Broken()}),
    ("7.4.5", "yours", "ROOT_URLCONF", {"ROOT_URLCONF": NoAdmin}),
    ("7.4.5", "not met", 'JWTSESSION["REVOCATION_POLL"]', jwt(REVOCATION_POLL=None)),
    ("7.5.2", "not met", "ROOT_URLCONF", {"ROOT_URLCONF": NoPages}),
    (
        "7.5.2",
        "not met",
        'JWTSESSION["HISTORY_AGE"]',
        {"SESSION_ENGINE": f"{OURS}cookie", **jwt(HISTORY_AGE=7 * 86400)},
    ),
    ("7.6.2", "not met", "SOCIALACCOUNT_LOGIN_ON_GET", {"SOCIALACCOUNT_LOGIN_ON_GET": True}),
    ("7.6.2", "yours", "AUTHENTICATION_BACKENDS", backends("RemoteUserBackend")),
    ("9.1.1", "not met", "SECRET_KEY", {"SECRET_KEY": "short"}),
    ("9.1.1", "not met", "SECRET_KEY", {"SECRET_KEY": f"django-insecure-{SECRET}"}),
    ("9.1.1", "not met", 'JWTSESSION["KEYS"]', jwt(KEYS=[SECRET, "password" * 5])),
    ("9.1.2", "not met", 'JWTSESSION["ALGORITHMS"]', jwt(ALGORITHMS=["none"])),
    ("9.1.3", "not met", 'JWTSESSION["KEYS"]', jwt(KEYS=["/no/such/file.pem"])),
    ("9.2.1", "not met", 'JWTSESSION["LEEWAY"]', jwt(LEEWAY=3600)),
    ("9.2.2", "yours", "SESSION_ENGINE", {"SESSION_ENGINE": f"{DJANGO}signed_cookies"}),
    ("9.2.2", "not met", "SESSION_ENGINE", {"SESSION_ENGINE": "no.such.engine"}),
    ("9.2.3", "yours", 'JWTSESSION["AUDIENCE"]', {"JWTSESSION": {}}),
    (
        "9.2.3",
        "not met",
        'JWTSESSION["AUDIENCE"]',
        {"JWTSESSION": {"ALGORITHMS": ["ES256"], "KEYS": [PEM]}},
    ),
    (
        "9.2.4",
        "not met",
        'JWTSESSION["AUDIENCE"]',
        {"JWTSESSION": {"ALGORITHMS": ["ES256"], "KEYS": [PEM]}},
    ),
    ("9.2.4", "met", 'JWTSESSION["AUDIENCE"]', jwt(ALGORITHMS=["ES256"], KEYS=[PEM])),
]


@pytest.mark.parametrize(
    ("engine", "bits"), [("cookie", {122}), ("db", {122, 108, 230}), ("hybrid", {122, 108, 230})]
)
def test_random_bits_are_those_that_are_drawn(capsys: Any, engine: str, bits: set[int]) -> None:
    why = sheet(capsys, SESSION_ENGINE=f"{OURS}{engine}")["7.2.3"]["why"]
    assert {int(number) for number in re.findall(r"\d+", why)} == bits  # six of a UUID's are not


@pytest.mark.parametrize(("number", "verdict", "setting", "settings"), TURNS)
def test_setting_turns_the_verdict_and_is_named(
    capsys: Any, number: str, verdict: str, setting: str, settings: dict[str, Any]
) -> None:
    one = sheet(capsys, **settings)[number]
    assert (one["verdict"], one["setting"]) == (verdict, setting)
    assert one["why"]
    assert verdict == "met" or one["write"], "nothing says what to write"


def test_each_requirement_that_settings_show_has_one_with_which_it_is_not_met() -> None:
    assert {number for number, verdict, *_ in TURNS if verdict == "not met"} >= SHOWN


def test_settings_that_cannot_be_read_leave_nothing_met_that_rests_on_them(capsys: Any) -> None:
    found = sheet(capsys, JWTSESSION={"ALGORITHM": ["HS256"]})
    rest_on_them = {k for k in SHOWN if k[0] in "79"} - {"7.6.2"} | {"3.3.5"}
    assert {found[k]["verdict"] for k in rest_on_them} == {"not met"}
    assert "Did you mean 'ALGORITHMS'?" in found["9.1.2"]["why"]


def test_sessions_of_deactivated_users_are_found_in_the_table(capsys: Any, user: Any) -> None:
    SessionFactory(user=user)
    get_user_model().objects.update(is_active=False)  # which tells nobody
    one = sheet(capsys)["7.4.2"]
    assert (one["verdict"], one["setting"]) == ("not met", "DATABASES")
    assert one["why"].startswith("1 session of")


def test_table_that_is_not_there_is_no_way_to_end_sessions(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Revocation._meta, "db_table", "no_such_table")
    one = sheet(capsys, SESSION_ENGINE=f"{OURS}db")["7.4.1"]
    assert (one["verdict"], one["setting"]) == ("not met", "DATABASES")
    assert "no_such_table" in one["why"]


def test_apps_with_second_factors_leave_their_changes_to_the_site(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = "django_jwtsession.management.audit.sessions.apps.is_installed"
    monkeypatch.setattr(installed, lambda name: name == "allauth.mfa")
    one = sheet(capsys)["7.4.3"]
    assert (one["verdict"], one["setting"]) == ("yours", "INSTALLED_APPS")


def test_views_that_ask_for_a_proof_are_named(capsys: Any) -> None:
    found = sheet(capsys, ROOT_URLCONF=Guarded)
    assert found["7.5.1"]["why"] == "These ask for a proof: change_email, pay."
    assert found["7.5.3"]["why"] == "These ask for a proof: pay."
    assert sheet(capsys)["7.5.1"]["why"] == "No view of the URLconf asks for a proof."


def test_cookies_of_django_stand_beside_the_verdict(capsys: Any) -> None:
    one = sheet(capsys, CSRF_COOKIE_SECURE=False)["3.3.1"]
    assert one["verdict"] == "met"
    assert one["beside"] == ["CSRF_COOKIE_SECURE is off: that cookie travels over plain http."]
    assert sheet(capsys, CSRF_COOKIE_SECURE=False, CSRF_USE_SESSIONS=True)["3.3.1"]["beside"] == []


# --- what is printed -----------------------------------------------------------------------------


def test_exit_code_tells_whether_all_is_met(capsys: Any) -> None:
    assert audit(capsys)[0] == 0
    assert audit(capsys, SESSION_COOKIE_HTTPONLY=False)[0] == 1


def test_level_leaves_out_what_is_above_it(capsys: Any) -> None:
    code, text = audit(capsys, "--format", "json", "--level", "1", SESSION_COOKIE_HTTPONLY=False)
    assert code == 0, "3.3.4 is of level 2"
    assert {one["level"] for one in json.loads(text)["requirements"]} == {1}


def test_json_has_the_documented_names(capsys: Any) -> None:
    found = json.loads(audit(capsys, "--format", "json")[1])
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert documented == [*found, *found["requirements"][0]]
    assert found["format"] == 1
    assert found["counts"] == {"met": len(SHOWN), "not met": 0, "yours": 31 - len(SHOWN)}


def test_markdown_has_a_row_for_each_requirement(capsys: Any) -> None:
    _, text = audit(capsys, "--format", "markdown")
    rows = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) == len(REQUIREMENTS) == 31
    assert all(row.replace("\\|", "").count("|") == 8 for row in rows)


def test_text_says_what_to_write(capsys: Any) -> None:
    _, text = audit(capsys, SESSION_COOKIE_SECURE=False, SESSION_COOKIE_AGE=86400)
    assert "3.3.1  NOT MET" in text
    assert "1 day without use, 90 days in all." in text
    assert "    Write: SESSION_COOKIE_SECURE = True" in text
    assert text.endswith(f"{len(SHOWN) - 2} met, 2 not met, {31 - len(SHOWN)} yours.\n")


def test_no_secret_is_printed(capsys: Any) -> None:
    for form in ("text", "markdown", "json"):
        _, text = audit(capsys, "--format", form, **jwt(KEYS=["password" * 5]))
        assert "password" * 5 not in text


@pytest.mark.processes
def test_site_without_urls_or_migrations_is_judged_as_well(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(
        "INSTALLED_APPS = ['django.contrib.auth', 'django.contrib.contenttypes',"
        " 'django_jwtsession']\nSECRET_KEY = 'x'\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n"
        "SESSION_ENGINE = 'django_jwtsession.backends.cookie'\n"
    )
    code = "from django.core.management import execute_from_command_line as run; import sys;"
    code += "run(['manage.py', 'jwtsession', '--settings', 'bare', 'audit', '--format', 'json'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    verdicts = {one["id"]: one["verdict"] for one in json.loads(done.stdout)["requirements"]}
    assert [verdicts[k] for k in ("7.2.1", "7.4.1", "7.4.4", "9.1.1")] == ["not met"] * 4
