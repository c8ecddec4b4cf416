"""What people see of it: the lists, the history, `jwtsession inspect`, and `manage.py check`."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from django_jwtsession.contrib import dbsc
from django_jwtsession.contrib.dbsc.hooks import check_dbsc
from django_jwtsession.contrib.dbsc.models import Binding
from django_jwtsession.models import Session, SessionEvent

from .browser import PROOF, Browser, Key

pytestmark = pytest.mark.django_db

BADGE = "Bound to this device"
SENTENCE = "it has a key that cannot be copied"


def test_badge_is_in_the_users_list_beside_bound_sessions_alone(
    browser: Browser, user: User
) -> None:
    browser.bind(user)
    assert Client().login(username="ada", password="correct horse")
    page = browser.get("/sessions/").content.decode()
    assert (page.count(BADGE), page.count(SENTENCE)) == (1, 1)
    found = browser.get("/session/sessions/").json()["sessions"]
    assert [one["is_bound"] for one in found] == [True, False]


def test_badge_is_in_the_admin_and_costs_one_query(
    browser: Browser, django_assert_max_num_queries: Any
) -> None:
    staff = User.objects.create_superuser("root", password="correct horse")
    browser.bind(staff)
    for _ in range(5):
        assert Client().login(username="root", password="correct horse")
    url = reverse("admin:django_jwtsession_session_changelist")
    page = browser.get(url).content.decode()
    assert (page.count(BADGE), page.count(SENTENCE)) == (1, 1)
    [bound] = Binding.objects.all()
    for row in Session.objects.all():
        change = reverse("admin:django_jwtsession_session_change", args=[row.pk])
        assert (SENTENCE in browser.get(change).content.decode()) == (row.pk == bound.pk)


def test_lists_ask_nothing_more_than_one_query_for_all(
    browser: Browser, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.bind(user)
    asked: list[Any] = []
    bound = dbsc.hooks.proofs.DeviceBindings.bound  # type: ignore[attr-defined]
    monkeypatch.setattr(
        dbsc.hooks.proofs.DeviceBindings,  # type: ignore[attr-defined]
        "bound",
        lambda self, sids: bound(self, [asked.append(sids), *sids][1:]),  # type: ignore[func-returns-value]
    )
    browser.get("/sessions/")
    assert len(asked) == 1


def test_history_tells_of_both(browser: Browser, user: User) -> None:
    browser.bind(user)
    browser.answer(Key().jws({"jti": browser.challenge}))
    other = Browser()
    other.login(user)
    page = other.get("/sessions/history/").content.decode()
    assert "Session bound to the device" in page
    assert "its cookie was used without the key of its device" in page
    kinds = set(SessionEvent.objects.values_list("kind", flat=True))
    assert {"bound", "binding_failed"} <= kinds


def inspect(token: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("jwtsession", "inspect", token, "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@pytest.mark.parametrize("algorithm", ["A256GCM", "HS256"])
def test_inspect_knows_the_proof(
    browser: Browser, user: User, settings: Any, clock: Any, algorithm: str
) -> None:
    settings.JWTSESSION = {"ALGORITHMS": [algorithm]}
    browser.bind(user)
    token = browser.client.cookies[PROOF].value
    found = inspect(token)
    assert found["header"]["typ"] == "dbp+jwt"
    assert found["valid"]
    claims = found["claims"]
    assert claims["sid"] == browser.sid
    assert claims["jkt"] == Binding.objects.get().thumbprint
    assert claims["exp"] - claims["iat"] == 600


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("jwtsession", *arguments, stdout=out)
    return out.getvalue()


def test_keys_of_a_person_are_exported_and_erased(browser: Browser, user: User) -> None:
    """Those of sessions that have ended too, which the history still knows."""
    browser.bind(user)
    ended = Binding.objects.get()
    Session.objects.all().revoke()
    assert Binding.objects.filter(pk=ended.pk).exists()
    living, others = Browser(), Browser()
    living.bind(user)
    others.bind(User.objects.create_user("eve", password="correct horse"))
    told = json.loads(command("export", "--user", user.username))["tables"]["dbsc.binding"]
    assert {row["jwk"]["x"] for row in told} == {browser.key.jwk["x"], living.key.jwk["x"]}
    command("erase", "--user", user.username, "--noinput")
    assert Binding.objects.get().jwk["x"] == others.key.jwk["x"]
    assert json.loads(command("export", "--user", user.username))["tables"]["dbsc.binding"] == []


def test_app_has_no_changes_without_a_migration() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def problems() -> list[str]:
    return [str(message.id).partition(".")[2] for message in check_dbsc()]


def test_default_settings_are_good() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"MODE": "proof"}, []),
        ({"MODE": "strict", "MAX_AGE": timedelta(minutes=10), "REQUIRE": None}, []),
        ({"REQUIRE": "django.contrib.auth.get_user"}, []),
        ({"MODE": "Strict"}, ["E030"]),
        ({"MODE": None}, ["E030"]),
        ({"MAX_AGE": 299}, ["W031"]),
        ({"MAX_AGE": 0}, ["E030"]),
        ({"MAX_AGE": "600"}, ["E030"]),
        ({"MAX_AGE": True}, ["E030"]),
        ({"REQUIRE": "no.such.function"}, ["E030"]),
        ({"REQUIRE": "nothing"}, ["E030"]),
        ({"REQUIRE": "django.contrib.auth.SESSION_KEY"}, ["E030"]),
        ({"REQUIRE": 7}, ["E030"]),
        ({"mode": "strict"}, ["E030"]),
        (["strict"], ["E030"]),
    ],
)
def test_check_says_what_is_wrong_with_a_setting(settings: Any, given: Any, ids: list[str]) -> None:
    settings.DBSC = given
    assert problems() == ids


def test_site_does_not_start_with_a_wrong_setting(settings: Any) -> None:
    settings.DBSC = {"MODE": "Strict"}
    with pytest.raises(ImproperlyConfigured, match="MODE"):
        Client().get("/")


def test_check_wants_an_engine_with_rows(settings: Any) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.cookie"
    assert problems() == ["E031"]
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert problems() == ["E031"]


def test_check_warns_of_a_cookie_for_other_hosts_and_paths(settings: Any) -> None:
    settings.SESSION_COOKIE_DOMAIN = "example.com"
    assert problems() == ["W030"]


@pytest.mark.parametrize("engine", ["cookie", "django"])
def test_sites_with_other_engines_go_on(engine: str, user: User, settings: Any) -> None:
    names = {"cookie": "django_jwtsession.backends.cookie"}
    settings.SESSION_ENGINE = names.get(engine, "django.contrib.sessions.backends.signed_cookies")
    client = Client()
    form = {"username": "ada", "password": "correct horse"}
    response = client.post("/login/", form)
    assert response.status_code == 302
    assert "Secure-Session-Registration" not in response.headers
    origin = {"Origin": "http://testserver"}
    assert client.post("/dbsc/start", headers=origin).status_code == 401
    assert client.post("/dbsc/refresh", headers=origin).status_code == 410
    assert client.post("/logout/").status_code == 302


def lines_of_code(path: Path) -> int:
    """Count the lines that are neither blank nor a comment, a docstring or an import."""
    text = path.read_text(encoding="utf-8")
    no_code = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (*no_code, tokenize.ENDMARKER):
            lines |= {*range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Import | ast.ImportFrom) or is_text:
            assert isinstance(node, ast.stmt)
            lines -= {*range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return len(lines)


def test_app_stays_small() -> None:
    folder = Path(dbsc.__file__).parent
    assert sum(map(lines_of_code, folder.glob("*.py"))) <= 300


def test_core_knows_nothing_of_the_app() -> None:
    package = Path(dbsc.__file__).parents[2]
    core = [path for path in package.rglob("*.py") if "contrib" not in path.parts[-3:]]
    assert not [path for path in core if "import dbsc" in path.read_text(encoding="utf-8")]
    assert not [path for path in core if "contrib.dbsc import" in path.read_text(encoding="utf-8")]


def test_app_hooks_into_the_core_at_two_places() -> None:
    found = []
    for path in Path(dbsc.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets = node.targets if isinstance(node, ast.Assign) else []
            found += [ast.unparse(target) for target in targets]
    on_classes = [name for name in found if "." in name and name[0].isupper()]
    assert sorted(on_classes) == ["SessionMiddleware.inside", "TokenSession.bindings"]
