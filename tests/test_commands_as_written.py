"""Every command of this package that a page names runs as it is written there."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_jwtsession import conf
from django_jwtsession.management.commands.clearsessions import Command as ClearSessions
from django_jwtsession.management.commands.jwtsession import Command as JWTSession

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Those of the reference are compared with the parsers themselves (test_reference.py).
_COMMAND = re.compile(
    r"(?:manage\.py |`)(?<!migrate )((?:jwtsession|clearsessions)(?= |`|$)[^`\n#]*)"
    r"|`((?:inspect|list|revoke|status|audit|export|erase|migrate) --[^`]+)`"
)
_CODE = re.compile(r"^```\w*\n(.*?)^```|^ {4}(make .*)|`([^`\n]+)`", re.MULTILINE | re.DOTALL)


def written(text: str) -> list[str]:
    """Return the commands in a text, each way of a command by itself."""
    found = []
    for whole, short in _COMMAND.findall(text):
        first, *others = (whole or f"jwtsession {short}").strip().split(" | ")
        start = first.partition(" --")[0]
        found += [first, *(f"{start} {other}" for other in others)]
    return [command for command in found if _is_whole(command)]


def _is_whole(command: str) -> bool:
    """Tell whether this is a command, and not its name or its grammar."""
    return command != "jwtsession" and not re.search(r"COMMAND|[\[\]]|\.\.", command)


COMMANDS = {
    command: page.name
    for page in PAGES
    if page.name != "reference.md"
    for command in written(page.read_text(encoding="utf-8"))
}
# They need the tables of another engine: tests/moving/test_commands.py runs them.
MOVES = ("migrate", "--to")


@pytest.fixture
def ada(db_engine: None, settings: Any, user: User, client: Client, monkeypatch: Any) -> User:
    """A user with a session; she types her name, and pipes her cookie."""
    client.force_login(user)
    token = client.cookies[settings.SESSION_COOKIE_NAME].value
    monkeypatch.setattr("builtins.input", lambda _: user.username)
    monkeypatch.setattr(sys, "stdin", io.StringIO(token))
    return user


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_command_of_a_page_runs_as_written(ada: User, command: str, client: Client) -> None:
    sid: Any = client.session
    text = command.replace("NAME", ada.username).replace("SID", sid.sid)
    name, *words = text.split()
    out = io.StringIO()
    run = {"jwtsession": JWTSession, "clearsessions": ClearSessions}[name](stdout=out, stderr=out)
    options = vars(run.create_parser("manage.py", name).parse_args(words))
    if any(word in words for word in MOVES):
        return
    options.pop("args", None)
    with contextlib.suppress(SystemExit):  # `audit` and `status` tell more by their exit code
        run.execute(**options, stdout=None, stderr=None)
    assert out.getvalue() or name == "clearsessions"


def test_pages_name_commands_of_each_kind() -> None:
    """So that none is missed because a page writes it in another way."""
    kinds = {word for command in COMMANDS for word in command.split()}
    assert kinds >= {"keygen", "inspect", "list", "revoke", "status", "audit", "export", "erase"}
    assert kinds >= {"migrate", "clearsessions", "--sid", "--all", "--ip", "--to"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_targets_and_modules_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    code = "\n".join("".join(found) for found in _CODE.findall(text))
    assert set(re.findall(r"^ *(?:[A-Z_]+=\S+ )?make ([a-z-]+)", code, re.MULTILINE)) <= set(
        targets
    )
    for module in re.findall(r"python -m ((?:tests|benchmarks|fuzz|example_project)[\w.]*)", text):
        assert Path(ROOT, *module.split(".")).with_suffix(".py").exists(), module


@pytest.mark.parametrize(
    ("command", "algorithm"),
    [
        ("openssl rand -base64 32", "A256GCM"),
        ("openssl ecparam -genkey -name prime256v1 -noout", "ES256"),
        ("openssl genpkey -algorithm ed25519", "Ed25519"),
    ],
)
def test_keys_that_openssl_makes_are_keys(command: str, algorithm: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    assert f"`{command}`" in (ROOT / "docs" / "keys.md").read_text()
    made = subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout
    assert not conf.problems({"KEYS": [made.strip()], "ALGORITHMS": [algorithm]})
