"""The README taken at its word: its tables, and a new site that follows its five steps."""

from __future__ import annotations

import re
import socket
import sqlite3
import subprocess
import textwrap
import venv
from collections.abc import Iterator
from dataclasses import fields
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.request import HTTPCookieProcessor, build_opener

import django
import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client

from django_jwtsession.conf import Config
from django_jwtsession.exceptions import Reason
from django_jwtsession.models import Session, SessionEvent

from .running import ENVIRON, README, ROOT, apply, await_server, post, run


def section(title: str) -> str:
    """Return the text of the README under a heading."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table_of(title: str) -> list[str]:
    """Return the first column of the table under a heading of the README."""
    return re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE)


# --- the tables ----------------------------------------------------------------------------------


def test_readme_lists_every_setting():
    assert sorted(table_of("Settings")) == sorted(f.name.upper() for f in fields(Config))


def test_readme_explains_every_reason_in_the_log():
    reasons = {*map(str, Reason), *map(str, SessionEvent.COPIED)}
    assert sorted(table_of("How to read the log")) == sorted(reasons)


def test_readme_names_only_tests_that_exist():
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", README))
    assert named, "the README names no test"
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"


def indented_example(word: str) -> str:
    """Return the indented code of the README's steps that has a word in it."""
    found = re.findall(
        r"^  ```python\n(.*?)^  ```", section("Install in a site"), re.DOTALL | re.MULTILINE
    )
    [code] = [textwrap.dedent(code) for code in found if word in code]
    return code


@pytest.mark.django_db
def test_readme_tells_the_truth_about_client_session(engine: str, client: Client) -> None:
    code = indented_example("client.session")
    if engine != "cookie":
        code = re.sub(r".*# `cookie` only", "", code)
    exec(code, {"client": client, "settings": settings})
    assert client.session["cart"] == [7]


def test_readme_registers_the_lists_with_a_site_of_ones_own() -> None:
    my_site = admin.AdminSite("mine")
    exec(indented_example("my_site"), {"my_site": my_site})
    assert my_site.is_registered(Session)
    assert my_site.is_registered(SessionEvent)


# --- a site that follows the README --------------------------------------------------------------


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project in an environment with this Django and the wheel, after the README's steps."""
    folder = tmp_path_factory.mktemp("site")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"Django=={django.__version__}", cwd=folder)
    run(python, "-m", "django", "startproject", "mysite", folder, cwd=folder)
    steps = section("Install in a site")
    file = "settings.py"
    for before, kind, block in re.findall(
        r"(.*?)^```(\w+)\n(.*?)^```", steps, re.DOTALL | re.MULTILINE
    ):
        file = next(iter(re.findall(r"`(\w+\.py)`", before)), file)
        if kind != "sh":
            apply(kind, block, folder / "mysite" / file)
            continue
        for line in block.splitlines():
            command = line.replace("django-jwtsession", str(wheel)).split()
            start = [python] if command[0] == "python" else [python, "-m", command[0]]
            run(*start, *command[1:], cwd=folder)
    return folder


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where the new site serves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    python = site / "env" / "bin" / "python"
    command: list[str | Path] = [python, "manage.py", "runserver", "--noreload", address]
    with (site / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=site, env=ENVIRON, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            await_server(f"http://{address}/login/", site / "server.log")
            yield address
        finally:
            server.terminate()
            server.wait()
            print((site / "server.log").read_text())  # pytest shows it where a test failed


def rows(site: Path) -> list[tuple[object, ...]]:
    database = sqlite3.connect(site / "db.sqlite3")
    try:
        query = "SELECT user_id, ip_address, browser FROM django_jwtsession_session"
        return database.execute(query).fetchall()
    finally:
        database.close()


@pytest.mark.packaging
def test_new_site_works_after_the_readme_steps(site: Path, address: str):
    python = site / "env" / "bin" / "python"
    user = "User.objects.create_superuser('ada', password='an-engine-of-1843').pk"
    code = f"from django.contrib.auth.models import User; {user}"
    run(python, "manage.py", "shell", "-c", code, cwd=site)
    jar = CookieJar()
    browser = build_opener(HTTPCookieProcessor(jar))
    browser.addheaders = [("User-Agent", "Mozilla/5.0 (X11; Ubuntu; rv:149.0) Firefox/149.0")]
    url = f"http://{address}/login/?next=/admin/"

    page = post(browser, url, username="ada", password="an-engine-of-1843")

    assert "Site administration" in page
    cookie = next(cookie for cookie in jar if cookie.name == "sessionid")
    assert str(cookie.value).count(".") == 4, "the cookie is no compact JWE"
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert rows(site) == [(1, "127.0.0.1", "Firefox 149")]


@pytest.mark.packaging
def test_commands_of_the_new_site_are_ours(site: Path):
    python = site / "env" / "bin" / "python"
    assert run(python, "manage.py", "clearsessions", cwd=site) == ""
    secret = run(python, "manage.py", "jwtsession", "keygen", cwd=site)
    assert len(secret.strip()) >= 43
