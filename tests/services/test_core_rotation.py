"""Rotation with slow uploads, on a scale of seconds: an hour is 4, the grace of 5 minutes is 1."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import ENGINES

from .client import Jar
from .conftest import logged_in, make_user
from .core import accused
from .servers import Database, Site, serve, until

SCALE = {"ROTATE_AFTER": 4, "ROTATE_GRACE": 1, "REVALIDATE_AFTER": 0, "SETTLE": 0.2}
BODY = b"x" * 200_000  # over 64 KiB
LATE = 6.5  # seconds an upload takes: past a rotation and its grace, not into the next one


@pytest.fixture
def site(site_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("rotation")
    with serve(site_database, folder, ENGINES["hybrid"], SCALE) as site:
        site.database.sql("DELETE FROM django_jwtsession_sessionevent")
        yield site


def go_on(site: Site, jar: Jar, user: str, seconds: float) -> None:
    """Let the honest browser come by, often, for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for server in site.servers:
            assert jar.get(server, "session").user == user
        time.sleep(0.1)


def rotate(site: Site, jar: Jar, user: str) -> None:
    """Go on until the row says that a rotation has been confirmed."""
    statement = "SELECT generation FROM django_jwtsession_session WHERE user_id = %s"
    [(before,)] = site.database.sql(statement, int(user))

    def confirmed() -> bool:
        go_on(site, jar, user, 0)
        for server in site.servers:
            assert jar.get(server, "session").user == user
        [(now,)] = site.database.sql(statement, int(user))
        return bool(now > before)

    until(confirmed, 10, 0.1)


def test_slow_upload_across_a_rotation_is_no_alarm(site: Site) -> None:
    """A buffering proxy, or uvicorn, hands the request on when it is complete: the cookie in it
    is as old as the upload took."""
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    old = jar.copy()
    rotate(site, jar, user)
    go_on(site, jar, user, 1.3)  # past the grace
    answer = site.servers[1].post("session", old.cookie, BODY)
    assert answer.user == user
    assert answer.set_cookie is None
    assert accused(site) == 0
    assert jar.get(site.servers[0], "session").user == user


def test_upload_of_unknown_length_is_no_alarm(site: Site) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    old = jar.copy()
    rotate(site, jar, user)
    go_on(site, jar, user, 1.3)
    connection = http.client.HTTPConnection("127.0.0.1", site.servers[1].port, timeout=20)
    body = (b"y" * 1000 for _ in range(3))
    headers = {"Cookie": f"sessionid={old.cookie}", "Connection": "close"}
    connection.request("POST", "/session/", body=body, headers=headers, encode_chunked=True)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.status == 200
    assert f'"user": "{user}"' in text
    assert accused(site) == 0


def test_copy_without_a_body_is_found(site: Site) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    old = jar.copy()
    rotate(site, jar, user)
    go_on(site, jar, user, 1.3)
    assert site.servers[1].get("session", old.cookie).user is None
    until(lambda: accused(site) == 1, 5)
    until(lambda: jar.get(site.servers[0], "session").user is None, 3)


def test_copy_that_is_two_rotations_old_is_found_with_any_body(site: Site) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    old = jar.copy()
    rotate(site, jar, user)
    rotate(site, jar, user)
    go_on(site, jar, user, 1.3)
    assert site.servers[1].post("session", old.cookie, BODY).json.get("user") is None
    until(lambda: accused(site) == 1, 5)


@pytest.mark.parametrize("kind", ["uvicorn", "gthread behind a proxy"])
def test_real_slow_upload_of_the_honest_browser_signs_nobody_out(
    kind: str, site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("slow")
    kinds = (kind, kind) if kind == "uvicorn" else ("gthread", "gthread")
    with serve(site_database, folder, ENGINES["hybrid"], SCALE, kinds=kinds) as site:
        site.database.sql("DELETE FROM django_jwtsession_sessionevent")
        user = make_user(site)
        jar = logged_in(site.servers[0], user)
        with proxied(site.servers[1].port) if kind != "uvicorn" else direct(site) as port:
            upload = threading.Thread(target=slow_upload, args=(port, jar.cookie, LATE))
            upload.start()
            go_on(site, jar, user, LATE + 1)
            upload.join(20)
        go_on(site, jar, user, 1)
        assert accused(site) == 0


def slow_upload(port: int, cookie: str, seconds: float) -> bytes:
    """POST a body over 64 KiB, a piece at a time."""
    head = (
        f"POST /session/ HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={cookie}\r\n"
        f"Content-Length: {len(BODY)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(head.encode())
        for start in range(0, len(BODY), 20_000):
            connection.sendall(BODY[start : start + 20_000])
            time.sleep(seconds / (len(BODY) // 20_000))
        return connection.recv(100_000)


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
