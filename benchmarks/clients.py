"""What calls the site in-process, as a server would: WSGI and ASGI, with the jar of a browser."""

from __future__ import annotations

import asyncio
import io
from functools import lru_cache
from time import perf_counter_ns, process_time_ns
from typing import Any, NamedTuple

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"


# What the seconds are: those on the wall, or those in which this process had a processor.
CLOCKS = {"wall": perf_counter_ns, "cpu": process_time_ns}


class Jar(NamedTuple):
    """The cookies of a session, and of the device that it is bound to."""

    cookie: str | None = None
    proof: str | None = None


NO_COOKIES = Jar()


@lru_cache
def _header(cookie: str | None, proof: str | None) -> str:
    """Return the header of two cookies, made once: what a browser does costs a request nothing."""
    jar = {"sessionid": cookie, "__Host-dbsc": proof}
    return "; ".join(f"{name}={value}" for name, value in jar.items() if value is not None)


def _value(header: str) -> str | None:
    """Return the value in a Set-Cookie, None for a cookie that is deleted."""
    return header.partition(";")[0].partition("=")[2].strip('"') or None


class Client:
    """A browser. `get()` takes a path and returns the nanoseconds it took."""

    clock = staticmethod(perf_counter_ns)

    def __init__(self, handler: Any, jar: Jar = NO_COOKIES) -> None:
        self.handler = handler
        self.cookie, self.proof = jar
        self.method = "GET"
        self.follows = True  # whether it keeps the cookies it is given
        self.cookie_bytes = 0
        self.status = 0

    def get(self, page: str) -> int:
        raise NotImplementedError

    def _keep(self, header: str) -> None:
        self.cookie_bytes += len("Set-Cookie: \r\n") + len(header)
        if not self.follows:
            return
        if header.lstrip().startswith("sessionid="):  # Django 5.2 puts a space in front
            self.cookie = _value(header)
        elif header.lstrip().startswith("__Host-dbsc="):
            self.proof = _value(header)

    @property
    def cookies(self) -> str:
        """What it sends, "" for nothing."""
        return _header(self.cookie, self.proof)

    @property
    def jar(self) -> Jar:
        return Jar(self.cookie, self.proof)


class WSGIClient(Client):
    def get(self, page: str) -> int:
        environ = {
            "REQUEST_METHOD": self.method,
            "CONTENT_LENGTH": "0" if self.method == "POST" else "",
            "SCRIPT_NAME": "",
            "PATH_INFO": f"/wsgi/{page}/",
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "localhost",
            "HTTP_USER_AGENT": USER_AGENT,
            "HTTP_ACCEPT": "text/html,application/xhtml+xml",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if cookies := self.cookies:
            environ["HTTP_COOKIE"] = cookies
        answer: list[Any] = []
        clock = self.clock
        started = clock()
        response = self.handler(environ, lambda *args: answer.extend(args))
        b"".join(response)
        response.close()
        took = clock() - started
        self.status = int(answer[0][:3])
        for name, value in answer[1]:
            if name == "Set-Cookie":
                self._keep(value)
        return took


class ASGIClient(Client):
    loop: asyncio.AbstractEventLoop | None = None

    def get(self, page: str) -> int:
        if ASGIClient.loop is None:
            ASGIClient.loop = asyncio.new_event_loop()
        return ASGIClient.loop.run_until_complete(self._get(page))

    async def _get(self, page: str) -> int:
        headers = [
            (b"host", b"localhost"),
            (b"user-agent", USER_AGENT.encode()),
            (b"accept", b"text/html,application/xhtml+xml"),
        ]
        if self.method == "POST":
            headers.append((b"content-length", b"0"))
        if cookies := self.cookies:
            headers.append((b"cookie", cookies.encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": f"/asgi/{page}/",
            "raw_path": f"/asgi/{page}/".encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("192.0.2.1", 50000),
            "server": ("localhost", 80),
        }
        messages: list[dict[str, Any]] = []
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            forever: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            return await forever  # the browser stays; Django cancels the question

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        clock = self.clock
        started = clock()
        await self.handler(scope, receive, send)
        took = clock() - started
        self.status = messages[0]["status"]
        for name, value in messages[0]["headers"]:
            if name.lower() == b"set-cookie":
                self._keep(value.decode())
        return took


INTERFACES: dict[str, tuple[type[Client], Any]] = {
    "wsgi": (WSGIClient, WSGIHandler),
    "asgi": (ASGIClient, ASGIHandler),
}
