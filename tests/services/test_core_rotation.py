"""Rotation with slow uploads: an hour passes by the servers' clocks while a body is on its way."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import ENGINES

from .client import Jar
from .conftest import logged_in, make_user
from .core import accused
from .servers import Database, Site, serve

HOUR, GRACE, MINUTE = 3600, 300, 60
SETTINGS = {"ROTATE_AFTER": HOUR, "ROTATE_GRACE": GRACE, "REVALIDATE_AFTER": 0}
BODY = b"x" * 200_000  # over 64 KiB


@pytest.fixture(scope="module")
def site(site_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("rotation")
    with serve(site_database, folder, ENGINES["hybrid"], SETTINGS) as site:
        yield site


def go_on(site: Site, jar: Jar, user: str) -> None:
    """Let the honest browser come by a minute later."""
    site.shift(MINUTE)
    for server in site.servers:
        assert jar.get(server, "session").user == user


def rotate(site: Site, jar: Jar, user: str) -> None:
    """Go on until the row says that a rotation has been confirmed, and until its grace is over."""
    statement = "SELECT generation FROM django_jwtsession_session WHERE user_id = %s"
    before = now = site.database.sql(statement, int(user))
    site.shift(HOUR)
    for _ in range(5):
        go_on(site, jar, user)
        now = site.database.sql(statement, int(user))
        if now > before:
            break
    assert now > before
    for _ in range(GRACE // MINUTE + 1):
        go_on(site, jar, user)


def test_slow_upload_across_a_rotation_is_no_alarm(site: Site) -> None:
    """A buffering proxy, or uvicorn, hands the request on when it is complete: the cookie in it
    is as old as the upload took."""
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    old = jar.copy()
    rotate(site, jar, user)
    answer = site.servers[1].post("session", old.cookie, BODY)
    assert answer.user == user
    assert answer.set_cookie is None
    assert accused(site, user) == 0
    assert jar.get(site.servers[0], "session").user == user


def test_upload_of_unknown_length_is_no_alarm(site: Site) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    old = jar.copy()
    rotate(site, jar, user)
    connection = http.client.HTTPConnection("127.0.0.1", site.servers[1].port, timeout=20)
    body = (b"y" * 1000 for _ in range(3))
    headers = {"Cookie": f"sessionid={old.cookie}", "Connection": "close"}
    connection.request("POST", "/session/", body=body, headers=headers, encode_chunked=True)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.status == 200
    assert f'"user": "{user}"' in text
    assert accused(site, user) == 0


def test_copy_without_a_body_is_found(site: Site) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    old = jar.copy()
    rotate(site, jar, user)
    assert site.servers[1].get("session", old.cookie).user is None
    assert accused(site, user) == 1
    assert jar.get(site.servers[0], "session").user is None


def test_copy_that_is_two_rotations_old_is_found_with_any_body(site: Site) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    old = jar.copy()
    rotate(site, jar, user)
    rotate(site, jar, user)
    assert site.servers[1].post("session", old.cookie, BODY).json.get("user") is None
    assert accused(site, user) == 1


@pytest.mark.parametrize("kind", ["uvicorn", "gthread behind a proxy"])
def test_real_slow_upload_of_the_honest_browser_signs_nobody_out(
    kind: str, site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("slow")
    kinds = (kind, kind) if kind == "uvicorn" else ("gthread", "gthread")
    with serve(site_database, folder, ENGINES["hybrid"], SETTINGS, kinds=kinds) as site:
        user = make_user(site)
        jar = logged_in(site.servers[0], user)
        with proxied(site.servers[1].port) if kind != "uvicorn" else direct(site) as port:
            upload = SlowUpload(port, jar.cookie)
            rotate(site, jar, user)
            assert f'"user": "{user}"' in upload.finish()
        go_on(site, jar, user)
        assert accused(site, user) == 0


class SlowUpload:
    """A POST with a body over 64 KiB, of which half is sent at once."""

    def __init__(self, port: int, cookie: str) -> None:
        head = (
            f"POST /session/ HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={cookie}\r\n"
            f"Content-Length: {len(BODY)}\r\nConnection: close\r\n\r\n"
        )
        self._connection = socket.create_connection(("127.0.0.1", port), 30)
        self._connection.sendall(head.encode() + BODY[: len(BODY) // 2])

    def finish(self) -> str:
        """Send the rest; return the answer."""
        with self._connection as connection:
            connection.sendall(BODY[len(BODY) // 2 :])
            return b"".join(iter(lambda: connection.recv(100_000), b"")).decode()


class direct:  # noqa: N801 - as contextlib's
    """The port of the second server."""

    def __init__(self, site: Site) -> None:
        self.port = site.servers[1].port

    def __enter__(self) -> int:
        return self.port

    def __exit__(self, *exc: Any) -> None:
        """Nothing to end."""


class proxied:  # noqa: N801
    """A proxy that hands a request on when it has all of it, as nginx does."""

    def __init__(self, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                headers = {"Cookie": self.headers["Cookie"], "Connection": "close"}
                upstream.request("POST", self.path, body=body, headers=headers)
                answer = upstream.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                """Not on the screen."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> int:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return int(self.server.server_address[1])

    def __exit__(self, *exc: Any) -> None:
        self.server.shutdown()
        self.server.server_close()
