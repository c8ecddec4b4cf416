"""The Next.js example beside Django: real servers behind one origin, and a client with cookies.

Builds the site with npm, so it only runs where INTEROP is set (`make test-interop`).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import KeyRing
from django_jwtsession.tokens.sid import uuid_from_sid
from example_project.nextjs import demo

from .nextjs_client import (
    COOKIE,
    LOGIN,
    PASSWORD,
    SECRET,
    USER,
    Browser,
    assert_greets,
    assert_refused,
)

if not os.environ.get("INTEROP"):
    pytest.skip("set INTEROP=1: it builds a Next.js site", allow_module_level=True)

IDLE_AGE = 7 * 86400  # SESSION_COOKIE_AGE of the example
CODEC = Codec(KeyRing([SECRET], COOKIE))


def aged(token: str) -> str:
    """Return `token` as it is when Next.js has to ask Django about it again."""
    now = int(time.time())
    claims = CODEC.read(token, now)
    if claims.rv is not None:
        claims = claims._replace(rv=now - 1)
    elif claims.sub is not None:
        claims = claims._replace(iat=now - IDLE_AGE + 3600, exp=now + 3600)
    return CODEC.issue(claims, now)


# --- servers -------------------------------------------------------------------------------------


class Site:
    """Django and Next.js behind one origin."""

    def __init__(self, origin: str, engine: str, database: Path) -> None:
        self.origin = origin
        self.engine = engine
        self._database = database

    def browser(self, token: str | None = None) -> Browser:
        return Browser(self.origin, token)

    def sql(self, statement: str, *parameters: Any) -> list[Any]:
        with closing(sqlite3.connect(self._database, timeout=20)) as connection, connection:
            return connection.execute(statement, parameters).fetchall()


@pytest.fixture(scope="module", params=["cookie", "db", "hybrid"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    demo.build()
    folder = tmp_path_factory.mktemp("nextjs")
    env = {
        "DJANGO_SETTINGS_MODULE": "tests.interop.nextjs_settings",
        "INTEROP_DATABASE": str(folder / "db.sqlite3"),
        "SESSION_SECRET": SECRET,
        "SESSION_BACKEND": request.param,
        "DEBUG": "1",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }
    manage = [sys.executable, "manage.py"]
    account = [
        *manage,
        "createsuperuser",
        "--noinput",
        f"--username={USER}",
        "--email=ada@example.com",
    ]
    for command in ([*manage, "migrate", "--verbosity=0"], account):
        subprocess.run(command, cwd=demo.ROOT, env={**os.environ, **env}, check=True)
    with (folder / "log").open("wb") as log, demo.Servers(log) as servers:
        port = demo.free_port()
        serve = [*manage, "runserver", "--noreload", f"127.0.0.1:{port}"]
        django = servers.start(serve, demo.ROOT, env, port)
        nextjs = servers.next(demo.free_port(), {"SESSION_SECRET": SECRET, "DJANGO_URL": django})
        origin = servers.proxy(demo.free_port(), django=django, next=nextjs)
        yield Site(origin, request.param, folder / "db.sqlite3")


# --- one session for both ------------------------------------------------------------------------


def test_login_at_django_opens_the_dashboard_of_nextjs(site: Site) -> None:
    browser = site.browser()
    assert_refused(browser.get("/dashboard"))

    page = browser.log_in(LOGIN)

    assert (page.status, page.location) == (302, "/dashboard")
    page = browser.get("/dashboard")
    [(pk,)] = site.sql("SELECT id FROM auth_user WHERE username = ?", USER)
    assert_greets(page, str(pk))
    assert re.search(r'Your session ends</dt><dd><time dateTime="20', page.text)


def test_logout_at_django_closes_the_dashboard(site: Site) -> None:
    browser = site.browser()
    browser.log_in()
    assert browser.get("/dashboard").status == 200

    browser.log_out()

    assert browser.token is None
    assert_refused(browser.get("/dashboard"))


def test_session_ended_elsewhere_closes_the_dashboard_within_its_window(site: Site) -> None:
    browser = site.browser()
    browser.log_in()
    copy = site.browser(browser.token)
    assert copy.get("/dashboard").status == 200
    browser.log_out()

    assert copy.token
    copy.token = aged(copy.token)

    assert_refused(copy.get("/dashboard"))


def test_visitor_who_only_uses_nextjs_stays_in(site: Site) -> None:
    browser = site.browser()
    browser.log_in()
    assert browser.token
    sid = CODEC.read(browser.token, time.time()).sid
    soon = time.time() + 3600
    if site.engine != "cookie":
        site.sql(
            "UPDATE django_jwtsession_session SET expires_at = ? WHERE id = ?",
            time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(soon)),
            uuid_from_sid(sid).hex,
        )
    browser.token = old = aged(browser.token)

    page = browser.get("/dashboard")

    assert page.status == 200
    assert page.headers.get_all("Set-Cookie"), "Django's cookie is passed on"
    assert f"Max-Age={IDLE_AGE}" in page.headers["Set-Cookie"]
    claims = CODEC.read(browser.token, time.time())
    assert claims.sid == sid
    if site.engine == "cookie":
        assert claims.exp > soon + 3600
    else:
        [(until,)] = site.sql(
            "SELECT expires_at FROM django_jwtsession_session WHERE id = ?", uuid_from_sid(sid).hex
        )
        assert until > time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(soon + 3600))
    if site.engine == "hybrid":
        assert (claims.rv or 0) > time.time()
    assert browser.token != old or site.engine == "db"
    assert browser.get("/dashboard").status == 200


def test_nextjs_shows_when_the_session_ends(site: Site) -> None:
    browser = site.browser()
    browser.log_in()
    browser.token = aged(browser.token or "")

    page = browser.get("/dashboard")

    ends = r'Your session ends</dt><dd><time dateTime="([^"]+)">[^<]*</time>([^<]+)'
    [(at, how)] = re.findall(ends, page.text.replace("<!-- -->", ""))
    if site.engine == "hybrid":  # the copy knows the absolute end, the row the idle one
        exp, words = CODEC.read(browser.token or "", time.time()).exp, " at the latest"
    else:
        said = json.loads(browser.get("/session/").text)
        exp, words = said["exp"], ", unless you use it before"
    assert (at, how) == (time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(exp)), words)


def test_altered_cookie_is_nobody(site: Site) -> None:
    browser = site.browser()
    browser.log_in()
    token = browser.token or ""
    head, _, rest = token.rpartition(".")
    browser.token = f"{head}.{'B' if rest[0] == 'A' else 'A'}{rest[1:]}"

    assert_refused(browser.get("/dashboard"))
    browser.token = token
    assert browser.get("/dashboard").status == 200


# --- make demo-nextjs ----------------------------------------------------------------------------


def test_demo_serves_both_and_stops_all_three_servers(tmp_path: Path) -> None:
    demo.build()
    env = {
        "DJANGO_SETTINGS_MODULE": "tests.interop.nextjs_settings",
        "INTEROP_DATABASE": str(tmp_path / "db.sqlite3"),
        "SESSION_SECRET": SECRET,
        "DEBUG": "1",
        "DEMO_PASSWORD": PASSWORD,
        "STAFF_PASSWORD": PASSWORD,
    }
    address = f"127.0.0.1:{demo.free_port()}"
    command = [sys.executable, "-m", "example_project.nextjs.demo", address]
    process = subprocess.Popen(
        command, cwd=demo.ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        greeting = "".join(iter(process.stdout.readline, "  Ctrl-C stops all three servers.\n"))
        assert f"http://{address}/dashboard" in greeting
        browser = Browser(f"http://{address}")
        assert_refused(browser.get("/dashboard"))
        browser.log_in(user="demo")
        assert browser.get("/dashboard").status == 200
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert "Stopped." in rest
    with pytest.raises(OSError, match="refused"):
        Browser(f"http://{address}").get("/dashboard")
