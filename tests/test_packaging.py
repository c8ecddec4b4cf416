"""The wheel, and the README taken at its word: a new site that follows its five steps."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import sys
import tarfile
import textwrap
import time
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import fields
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import django
import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client

from django_jwtsession.conf import Config
from django_jwtsession.exceptions import Reason
from django_jwtsession.models import Session, SessionEvent

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "django_jwtsession"
# What the new site's processes see of this one's environment.
ENVIRON = {k: v for k, v in os.environ.items() if k not in ("DJANGO_SETTINGS_MODULE", "PYTHONPATH")}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the text of the README under a heading."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table_of(title: str) -> list[str]:
    """Return the first column of the table under a heading of the README."""
    return re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command and return what it printed; a failure shows all of it."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRON,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# --- the README's tables -------------------------------------------------------------------------


def test_readme_lists_every_setting():
    assert sorted(table_of("Settings")) == sorted(f.name.upper() for f in fields(Config))


def test_readme_explains_every_reason_in_the_log():
    assert sorted(table_of("How to read the log")) == sorted(reason.value for reason in Reason)


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


# --- the wheel -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of the tree, and the wheel built from that."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


@pytest.mark.packaging
def test_wheel_holds_the_whole_package_and_nothing_else(wheel: Path):
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".po")
    }
    assert {"django_jwtsession/py.typed", "django_jwtsession/migrations/0001_initial.py"} <= names
    assert "django_jwtsession/templates/jwtsession/login.html" in names
    assert names - {n for n in names if n.endswith(".po")} == expected


@pytest.mark.packaging
def test_sdist_holds_the_license_and_no_secret(dist: Path):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = [name.partition("/")[2] for name in sdist.getnames()]
    assert {"LICENSE", "README.md", "setup.cfg"} <= set(names)
    assert not [name for name in names if name.startswith(".env") or "sqlite3" in name]


# --- a site that follows the README --------------------------------------------------------------


def apply(kind: str, block: str, file: Path) -> None:
    """Do with `file` what a code block of the README says: patch it, or add to its end."""
    text = file.read_text(encoding="utf-8").replace("'", '"')  # as startproject may quote
    if kind == "diff":
        lines = [(line[:1], line[1:]) for line in block.splitlines()]
        old = "\n".join(rest for sign, rest in lines if sign != "+")
        new = "\n".join(rest for sign, rest in lines if sign != "-")
        assert text.count(old) == 1, f"{file.name} has no place for:\n{block}"
        text = text.replace(old, new)
    else:
        text += "\n" + block
    file.write_text(text, encoding="utf-8")


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
    command = [python, "manage.py", "runserver", "--noreload", address]
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


def await_server(url: str, log: Path) -> None:
    for _ in range(200):
        try:
            build_opener().open(url, timeout=10).close()
            return
        except URLError:
            time.sleep(0.1)  # another process: there is no clock to move
    pytest.fail(log.read_text())


def post(browser: OpenerDirector, url: str, **form: str) -> str:
    """Open a page, send its form back with `form` filled in, and return the page that follows."""
    page = browser.open(url, timeout=10).read().decode()
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[0]
    data = urlencode({"csrfmiddlewaretoken": token, **form}).encode()
    return str(browser.open(url, data, timeout=10).read().decode())


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
