"""The wheel, and the README taken at its word: a new site that follows its five steps."""

from __future__ import annotations

import os
import re
import shlex
import shutil
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
from configparser import ConfigParser
from dataclasses import fields
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from hashlib import sha256
from http.cookiejar import CookieJar
from pathlib import Path
from unittest.mock import patch
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import django
import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client

from django_jwtsession import __version__
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


# --- the wheel -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of the tree, and the wheel built from that."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, ROOT / ".ci" / "package.py", folder, cwd=folder)
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
def test_second_build_makes_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    """From a copy of the tree with other times and modes, as on another machine."""
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".venv*", ".tox", "node_modules", ".*_cache", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored, copy_function=shutil.copyfile)
    run(sys.executable, copy / ".ci" / "package.py", tmp_path / "again", cwd=tmp_path)
    assert hashes(tmp_path / "again") == hashes(dist)


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each archive in a folder."""
    archives = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    assert len(archives) == 2
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in archives}


@pytest.mark.packaging
def test_wheel_says_where_the_project_is_and_what_it_needs(wheel: Path) -> None:
    [name] = [n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("dist-info/METADATA")]
    metadata = zipfile.ZipFile(wheel).read(name).decode()
    assert f"Version: {__version__}" in metadata
    for label in ("Documentation", "Source", "Issues", "Changelog"):
        assert f"Project-URL: {label}, https://" in metadata
    needed = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert sorted(needed) == ["Django", "PyJWT", "cryptography", "ua-parser", "ua-parser-builtins"]


def test_classifiers_are_what_the_readme_promises() -> None:
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    classifiers = config["metadata"]["classifiers"].split("\n")
    promise = r"Python (3\.\d+) to (3\.\d+), Django (\d\.\d) to (\d\.\d)"
    oldest, newest, first, last = re.findall(promise, README)[0]
    pythons = [c.rpartition(" ")[2] for c in classifiers if re.search(r"Python :: 3\.\d", c)]
    djangos = [c.rpartition(" ")[2] for c in classifiers if re.search(r"Django :: \d", c)]
    assert (pythons[0], pythons[-1], djangos[0], djangos[-1]) == (oldest, newest, first, last)
    assert config["options"]["python_requires"] == f">={oldest}"
    assert f"Django>={first}" in config["options"]["install_requires"]
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert all(f"py{python.replace('.', '')}" in tox for python in pythons)
    assert all(f"dj{django.replace('.', '')}: Django>={django}" in tox for django in djangos)


def test_version_stands_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{__version__}] - 20" in changelog


def test_workflow_publishes_without_a_token() -> None:
    workflow = (ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8")
    assert "id-token: write" in workflow
    assert "gh-action-pypi-publish" in workflow
    assert "secrets." not in workflow


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


# --- the tutorial --------------------------------------------------------------------------------

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"(.*?)^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n?)*)", re.MULTILINE)


class Reader:
    """Somebody who does what the tutorial says, block by block, and compares what it shows."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self.wheel = wheel
        self.python = folder / "env" / "bin" / "python"
        self.browser = build_opener(HTTPCookieProcessor(CookieJar()))
        agent = "Mozilla/5.0 (X11; Ubuntu; rv:149.0) Firefox/149.0"
        self.browser.addheaders = [("User-Agent", agent)]
        self.address = ""
        self.server: subprocess.Popen[bytes] | None = None

    def read(self, text: str) -> None:
        file = Path()
        for before, kind, block in _BLOCK.findall(text):
            named = re.findall(r"`(mysite/\w+\.py)`", before)
            file = self.folder / named[-1] if named else file
            if kind == "console":
                for command, shown in _COMMAND.findall(block):
                    self.do(command, shown)
            else:
                if not file.exists():
                    file.touch()
                apply(kind, block, file)

    def do(self, command: str, shown: str) -> None:
        if command.endswith("runserver"):
            return self.serve()
        words = shlex.split(command.replace(" django-jwtsession", f" {self.wheel}"))
        given = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
        words = [word for word in words if word.split("=")[0] not in given]
        assert words[0] == "python", command
        with patch.dict(ENVIRON, given):
            printed = run(self.python, *words[1:], cwd=self.folder)
        same = OutputChecker().check_output(shown, printed, ELLIPSIS | NORMALIZE_WHITESPACE)
        assert not shown.strip() or same, f"{command}\n{printed}"
        if "revoke" in command:
            self.is_signed_out()

    def serve(self) -> None:
        """Start the server, sign in as the tutorial does, and see the page of the devices."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{probe.getsockname()[1]}"
        start = [self.python, "manage.py", "runserver", "--noreload", self.address[7:]]
        log = self.folder / "server.log"
        with log.open("w") as out:
            self.server = subprocess.Popen(
                start, cwd=self.folder, env=ENVIRON, stdout=out, stderr=subprocess.STDOUT
            )
        await_server(f"{self.address}/login/", log)
        home = post(
            self.browser,
            f"{self.address}/login/?next=/",
            username="ada",
            password="an-engine-of-1843",
        )
        assert "Hello ada" in home
        assert "Firefox 149 on Ubuntu" in self.page("/sessions/")
        assert "in the last minute" in self.page("/secret/")

    def is_signed_out(self) -> None:
        for _ in range(30):  # another process learns of it within a second
            if "Hello" not in self.page("/"):
                return
            time.sleep(0.1)
        pytest.fail("still signed in")

    def page(self, path: str) -> str:
        return str(self.browser.open(self.address + path, timeout=10).read().decode())

    def leave(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait()


@pytest.mark.packaging
def test_tutorial_does_what_it_says(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"Django=={django.__version__}", cwd=tmp_path)
    reader = Reader(tmp_path, wheel)
    try:
        reader.read(TUTORIAL)
    finally:
        reader.leave()
    assert reader.server is not None
