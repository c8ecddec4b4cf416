"""The commands, as an operator types them."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.core.management import (
    CommandError,
    call_command,
    execute_from_command_line,
    get_commands,
)
from django.db import DatabaseError, connection
from django.utils import timezone

from django_jwtsession.conf import get_config
from django_jwtsession.models import Session
from django_jwtsession.tokens.claims import Claims
from django_jwtsession.tokens.keys import KeyRing
from django_jwtsession.tokens.session_key import new_key_part
from django_jwtsession.tokens.sid import new_sid

from ..factories import SessionFactory
from ..helpers.schemas import be_in_schema

NOW = 1893456000  # 2030-01-01
DAY = 86400
# Nothing here may be printed.
DATA = {"cart": "very private"}
SID = new_sid()


def manage(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with settings that are written out."""
    lines = "\n".join(f"{name} = {value}" for name, value in settings.items())
    code = f"""
import sys, types
module = types.ModuleType("site_settings")
exec("from tests.settings import *\\n" + {lines!r}, module.__dict__)
sys.modules["site_settings"] = module
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "site_settings"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


# --- clearsessions -------------------------------------------------------------------------------


def expired(**more: Any) -> Session:
    return SessionFactory(expires_at=timezone.now() - timedelta(seconds=1), **more)


@pytest.mark.django_db
@pytest.mark.parametrize("engine", ["cookie", "db", "hybrid"])
def test_clearsessions_deletes_what_has_expired_and_says_nothing(
    settings: Any, capsys: Any, engine: str
) -> None:
    settings.SESSION_ENGINE = f"django_jwtsession.backends.{engine}"
    alive = SessionFactory()
    expired()
    call_command("clearsessions")
    assert Session.objects.get() == alive
    assert capsys.readouterr() == ("", "")


@pytest.mark.django_db
@pytest.mark.parametrize("ours_first", [True, False])
def test_clearsessions_works_beside_djangos_own(settings: Any, ours_first: bool) -> None:
    both = ["django_jwtsession", "django.contrib.sessions"]
    others = [app for app in settings.INSTALLED_APPS if app not in both]
    settings.INSTALLED_APPS = [*(both if ours_first else reversed(both)), *others]
    get_commands.cache_clear()
    try:
        first = settings.INSTALLED_APPS[0]
        assert get_commands()["clearsessions"] == first
        expired()
        call_command("clearsessions")
        assert not Session.objects.exists()
    finally:
        get_commands.cache_clear()


@pytest.mark.django_db
def test_clearsessions_of_an_engine_without_expiry_fails_as_djangos(settings: Any) -> None:
    settings.SESSION_ENGINE = "tests.management.test_commands"
    with pytest.raises(CommandError, match="doesn't support clearing expired sessions"):
        call_command("clearsessions")


class SessionStore:
    """An engine that cannot clear."""

    @classmethod
    def clear_expired(cls) -> None:
        raise NotImplementedError


@pytest.mark.processes
def test_clearsessions_without_its_database_fails_in_one_line() -> None:
    broken = '{"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere/at/all"}}'
    result = manage("clearsessions", DATABASES=broken)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("CommandError: Expired sessions were not all cleared: ")


@pytest.mark.django_db
def test_clearsessions_turns_an_error_of_several_lines_into_one(monkeypatch: Any) -> None:
    def fail(*arguments: Any) -> None:
        raise DatabaseError("deadlock\nDETAIL: two\n  wait")

    monkeypatch.setattr("django_jwtsession.models.clearing.clear_expired", fail)
    with pytest.raises(CommandError, match=r"cleared: deadlock DETAIL: two wait$"):
        call_command("clearsessions")


# --- keygen --------------------------------------------------------------------------------------


def printed(capsys: Any, *arguments: str) -> str:
    call_command("jwtsession", *arguments)
    out: str = capsys.readouterr().out
    return out


def test_keygen_prints_32_random_bytes_as_openssl_does(capsys: Any) -> None:
    first, second = printed(capsys, "keygen"), printed(capsys, "keygen", "--type", "secret")
    assert len(base64.b64decode(first, validate=False)) == 32
    assert len(first) == 45
    assert first.endswith("=\n")
    assert first != second


@pytest.mark.parametrize(
    ("kind", "key_class", "algorithm"),
    [
        ("ec", ec.EllipticCurvePrivateKey, "ES256"),
        ("ed25519", ed25519.Ed25519PrivateKey, "EdDSA"),
    ],
)
def test_keygen_prints_pem_that_issues_tokens(
    capsys: Any, kind: str, key_class: type, algorithm: str
) -> None:
    pem = printed(capsys, "keygen", "--type", kind)
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert pem.endswith("-----END PRIVATE KEY-----\n")
    assert isinstance(load_pem_private_key(pem.encode(), None), key_class)
    assert KeyRing([pem], "sessionid").newest(algorithm, NOW) is not None


@pytest.mark.processes
def test_keygen_works_with_broken_settings_and_without_a_database() -> None:
    result = manage(
        "jwtsession",
        "keygen",
        JWTSESSION='{"KEYZ": 1, "ALGORITHMS": ["none"]}',
        DATABASES='{"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/no/where"}}',
        SESSION_ENGINE='"django_jwtsession.backends.hybird"',
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout) == 45


@pytest.mark.parametrize("arguments", [(), ("keygen", "--type", "rsa"), ("generate",)])
def test_mistyped_subcommands_are_usage_errors(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as end:
        execute_from_command_line(["manage.py", "jwtsession", *arguments])
    assert end.value.code == 2


# --- inspect -------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def token(**claims: Any) -> str:
    given: dict[str, Any] = {
        "sid": SID,
        "iat": NOW - 2 * DAY,
        "exp": NOW + 5 * DAY,
        "ep": (NOW - DAY) * 1000 + 125,
        "sub": "7",
        "auth_time": NOW - 7200.5,
        "ah": "c2VjcmV0LWhhc2g",
        "d": DATA,
    }
    return get_config().codec.issue(Claims(**given | claims), NOW)


def inspect(capsys: Any, *arguments: str) -> tuple[str, int]:
    code = 0
    try:
        call_command("jwtsession", "inspect", *arguments)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out, code


def test_inspect_says_in_words_and_dates_what_a_token_says(clock: Any, capsys: Any) -> None:
    out, code = inspect(capsys, token())
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "Header"
    assert "alg dir" in lines
    assert "typ ses+jwt" in lines
    assert f"sid, session {SID}" in lines
    assert "iat, issued 2029-12-30 00:00:00 UTC (2 days ago)" in lines
    assert "exp, ends 2030-01-06 00:00:00 UTC (in 5 days)" in lines
    assert "ep, epoch began 2029-12-31 00:00:00 UTC (23 hours ago)" in lines
    assert "auth_time, signed in 2029-12-31 21:59:59 UTC (2 hours ago)" in lines
    assert "sub, user 7" in lines
    assert "d, data (hidden)" in lines
    assert lines[-1].startswith("Verdict: valid ")


def test_inspect_says_when_the_last_proof_was_and_when_older_tokens_end(
    clock: Any, capsys: Any
) -> None:
    out, _ = inspect(capsys, token(pt=NOW - 60.5, mx=NOW + 14 * DAY))
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "pt, last proof 2029-12-31 23:58:59 UTC (1 minute ago)" in lines
    assert "mx, older tokens end 2030-01-15 00:00:00 UTC (in 14 days)" in lines
    assert "pt, last proof none" in " ".join(inspect(capsys, token(pt=0))[0].split())


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--reveal",), ("--json", "--reveal")])
def test_inspect_never_shows_what_opens_a_session(
    clock: Any, capsys: Any, arguments: tuple[str, ...]
) -> None:
    part = new_key_part()
    out, code = inspect(capsys, *arguments, token(sk=part))
    assert code == 0
    assert "sk" in out
    assert part not in out
    out, code = inspect(capsys, *arguments, SID + part)  # a key is no token
    assert code == 1
    assert SID not in out
    assert part not in out


def test_inspect_judges_by_the_keys_of_the_place(clock: Any, capsys: Any, monkeypatch: Any) -> None:
    """A tenant's schema has keys of its own, and the token says whose it is."""
    plain = token()
    there = get_config().codec_in("/acme").issue(Claims(SID, NOW, NOW + DAY, NOW * 1000), NOW)
    be_in_schema("acme", monkeypatch)
    out, code = inspect(capsys, there)
    assert code == 0
    assert "place, place /acme" in " ".join(out.split())
    assert inspect(capsys, plain)[1] == 1


def test_inspect_shows_data_only_when_asked(clock: Any, capsys: Any) -> None:
    hidden, _ = inspect(capsys, token())
    hidden_json, _ = inspect(capsys, "--json", token())
    shown, _ = inspect(capsys, "--reveal", token())
    for out in (hidden, hidden_json):
        assert "very private" not in out
        assert "c2VjcmV0LWhhc2g" not in out
    assert "very private" in shown


def test_inspect_reveals_the_data_of_other_serializers(
    clock: Any, capsys: Any, settings: Any
) -> None:
    text = base64.urlsafe_b64encode(json.dumps(DATA).encode()).decode().rstrip("=")
    out, _ = inspect(capsys, "--json", "--reveal", token(d=text))
    assert json.loads(out)["claims"]["d"] == DATA


def test_inspect_reads_the_token_from_standard_input(
    clock: Any, capsys: Any, monkeypatch: Any
) -> None:
    for arguments in ((), ("-",)):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"  {token()}\n"))
        out, code = inspect(capsys, *arguments)
        assert code == 0
        assert SID in out


def test_inspect_answers_programs_with_json(clock: Any, capsys: Any) -> None:
    out, code = inspect(capsys, token(), "--json")
    report = json.loads(out)
    assert code == 0
    assert report["valid"] is True
    assert report["reason"] is None
    assert report["header"]["enc"] == "A256GCM"
    assert report["claims"]["exp"] == NOW + 5 * DAY


def altered() -> str:
    text = token()
    return text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:]


def header_of(members: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).decode().rstrip("=")


def test_inspect_never_shows_claims_that_did_not_prove_authentic(clock: Any, capsys: Any) -> None:
    forged = header_of({"alg": "HS256", "typ": "ses+jwt", "kid": "1-abcdef"})
    body = header_of({"sid": SID, "sub": "admin"})
    for text, reason in ((altered(), "signature"), (f"{forged}.{body}.AAAA", "algorithm")):
        out, code = inspect(capsys, text)
        assert code == 1
        assert "ses+jwt" in out  # the header is anyone's to read
        assert SID not in out
        assert "admin" not in out
        assert f"Verdict: refused, {reason}: " in out
        report = json.loads(inspect(capsys, "--json", text)[0])
        assert report["claims"] is None
        assert (report["valid"], report["reason"]) == (False, reason)


def test_inspect_shows_the_claims_of_an_authentic_token_that_expired(
    clock: Any, capsys: Any
) -> None:
    text = token()
    clock.shift(6 * DAY)
    out, code = inspect(capsys, text)
    assert code == 1
    assert SID in out
    assert "exp, ends" in out
    assert "(1 day ago)" in out
    assert "Verdict: refused, expired: " in out


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "a.b.c",
        "....",
        "é.é.é",
        "A" * 100_000,
        header_of({"alg": "none"}) + "..",
        header_of({"alg": "\x1b[31mred", "kid": "\u202eevil"}) + ".e30.AAAA",
        base64.urlsafe_b64encode(b'{"a":' * 900 + b"1" + b"}" * 900).decode().rstrip("=") + ".a.b",
    ],
)
def test_inspect_of_anything_is_a_verdict_and_safe_for_a_terminal(capsys: Any, text: str) -> None:
    out, code = inspect(capsys, text)
    assert code == 1
    assert "Verdict: refused, " in out
    assert out.isascii()
    assert all(character.isprintable() or character == "\n" for character in out)
    json.loads(inspect(capsys, "--json", text)[0])


def test_inspect_without_a_token_is_an_error_of_one_line(monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(CommandError, match="No token given") as error:
        call_command("jwtsession", "inspect")
    assert error.value.returncode == 2


@pytest.mark.processes
def test_inspect_with_broken_settings_is_an_error_of_one_line() -> None:
    result = manage("jwtsession", "inspect", "a.b.c", JWTSESSION='{"KEYZ": 1}')
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "Did you mean 'KEYS'?" in result.stderr


def test_inspect_asks_no_database(capsys: Any) -> None:
    # pytest-django refuses every query of a test without its mark.
    with pytest.raises(RuntimeError):
        connection.ensure_connection()
    inspect(capsys, token(iat=1, exp=2))


def test_no_command_prints_a_key(clock: Any, capsys: Any, settings: Any) -> None:
    out = inspect(capsys, "--reveal", token())[0] + inspect(capsys, altered())[0]
    assert settings.SECRET_KEY not in out


@pytest.mark.django_db
def test_list_shows_the_sessions_of_a_user_and_no_token(capsys: Any) -> None:
    session, other = SessionFactory(), SessionFactory()
    call_command("jwtsession", "list", "--user", session.user.username)
    out = capsys.readouterr().out
    assert session.sid in out
    assert "Firefox 149 on Ubuntu" in out
    assert other.sid not in out


@pytest.mark.django_db
def test_revoke_ends_one_a_user_s_or_all(capsys: Any) -> None:
    one, two, three = SessionFactory(), SessionFactory(), SessionFactory()
    call_command("jwtsession", "revoke", "--sid", one.sid)
    assert set(Session.objects.all()) == {two, three}
    call_command("jwtsession", "revoke", "--user", two.user.username)
    assert set(Session.objects.all()) == {three}
    call_command("jwtsession", "revoke", "--all")
    assert not Session.objects.exists()
    assert capsys.readouterr().out.count("1 of them") == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--user", "nobody"), "There is no user 'nobody'."),
        (("--sid", "x"), "no session id"),
        (("--sid", "\xe9"), "no session id"),
    ],
)
def test_revoke_of_nothing_is_one_line(arguments: tuple[str, str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("jwtsession", "revoke", *arguments)


@pytest.mark.django_db
def test_revoke_all_also_ends_sessions_that_are_only_cookies(
    settings: Any, client: Any, django_user_model: Any
) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.cookie"
    client.force_login(django_user_model.objects.create_user("ada"))
    call_command("jwtsession", "revoke", "--all")
    assert "_auth_user_id" not in client.session
