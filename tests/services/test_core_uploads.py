"""Uploads that were sent before a proof of identity and arrive after it, through real servers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.conftest import ENGINES

from .client import Jar
from .conftest import HERE, logged_in, make_user
from .core import accused, is_in, sid_of
from .servers import Database, Server, serve

BODY = b"x" * 200_000  # over 64 KiB
LATE = 7  # seconds an upload takes: after five, who brings the last epoch's cookie is a new visitor


def collected(server: Server, cookie: str, meanwhile: Callable[[], None]) -> bytes:
    """Upload as a proxy hands it on that has collected the body for so long."""
    meanwhile()
    answer = server.post("put", cookie, BODY, upload="1")
    return b"HTTP/1.1 %d" % answer.status + (b"" if answer.set_cookie is None else b" Set-Cookie")


def slow(server: Server, cookie: str, meanwhile: Callable[[], None]) -> bytes:
    """Upload a half and then the other; uvicorn hands it on when it is complete."""
    head = (
        f"POST /put/?upload=1 HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={cookie}\r\n"
        f"Content-Length: {len(BODY)}\r\nConnection: close\r\n\r\n"
    )
    half = len(BODY) // 2
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(head.encode() + BODY[:half])
        time.sleep(0.2)  # it has arrived
        meanwhile()
        connection.sendall(BODY[half:])
        return connection.makefile("rb").read()


@pytest.mark.parametrize("engine", HERE)
@pytest.mark.parametrize(("kind", "upload"), [("uvicorn", slow), ("gthread", collected)])
def test_upload_across_a_proof_signs_nobody_out(
    kind: str,
    upload: Callable[[Server, str, Callable[[], None]], bytes],
    engine: str,
    site_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Its answer would put an anonymous session in the place of the one that has just begun."""
    folder = tmp_path_factory.mktemp("up")
    with serve(site_database, folder, ENGINES[engine], kinds=(kind, kind)) as site:
        here, there = site.servers
        user = make_user(site)
        jar = logged_in(here, user)
        sid, old = sid_of(site, jar), jar.cookie

        def prove() -> None:
            assert jar.post(here, "prove").status == 200
            site.learn()
            site.shift(LATE)

        answer = upload(there, old, prove)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"set-cookie" not in answer.lower()
        assert is_in(site, jar, user)
        assert sid_of(site, jar) == sid
        assert jar.get(there, "session").json["data"] == {}  # of a stranger nothing is merged
        assert accused(site, user) == 0


@pytest.mark.parametrize("engine", HERE)
def test_copy_behind_a_long_body_opens_nothing_after_a_proof(
    engine: str, site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with serve(site_database, tmp_path_factory.mktemp("up"), ENGINES[engine]) as site:
        user = make_user(site)
        jar = logged_in(site.servers[0], user)
        thief = jar.copy()
        assert jar.post(site.servers[0], "prove").status == 200
        site.learn()
        for server in site.servers:
            answer = server.post("session", thief.cookie, BODY)
            assert answer.json["user"] is None
            assert answer.set_cookie is None


def test_pages_of_a_session_too_big_for_its_cookie_set_it_once(
    site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with serve(site_database, tmp_path_factory.mktemp("up"), ENGINES["hybrid"]) as site:
        here, there = site.servers
        jar = logged_in(here, make_user(site))
        jar.post(here, "put", a="a" * 2500)
        jar.post(here, "put", b="b" * 2500)
        for server in (here, there, here):
            answer = server.get("session", jar.cookie)
            assert answer.json["data"].keys() == {"a", "b"}
            assert answer.set_cookie is None
        other = Jar(jar.cookie)
        assert other.post(there, "put", more="1").set_cookie
        assert here.get("session", jar.cookie).set_cookie  # what has changed there comes here
