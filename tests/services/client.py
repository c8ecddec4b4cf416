"""A browser's side: pages, one cookie jar, requests that run in parallel."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import urlencode


class Answer(NamedTuple):
    """`set_cookie` is the session cookie that came with it: None for none, "" where it deletes."""

    status: int
    json: dict[str, Any]
    set_cookie: str | None

    @property
    def user(self) -> str | None:
        """The user that the page saw. A page that failed has seen none."""
        assert self.status == 200, self.status
        user: str | None = self.json["user"]
        return user


def fetch(
    port: int,
    path: str,
    cookie: str,
    parameters: dict[str, Any],
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Visit http://127.0.0.1:<port>/<path>/ with a session cookie, with a body by POST."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = {"Connection": "close"} | ({"Cookie": f"sessionid={cookie}"} if cookie else {})
    method = "GET" if body is None else "POST"
    try:
        url = f"/{path}/?{urlencode(parameters)}"
        connection.request(method, url, body=body, headers=sent | (headers or {}))
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    set_cookie = None
    for header in response.headers.get_all("Set-Cookie") or ():
        if (morsel := SimpleCookie(header).get("sessionid")) is not None:
            set_cookie = morsel.value
    is_json = response.headers.get_content_type() == "application/json"
    return Answer(response.status, json.loads(body) if is_json else {}, set_cookie)


class Jar:
    """The one cookie jar of a browser, whichever tab and server; the last answer wins."""

    def __init__(self, cookie: str = "") -> None:
        self.cookie = cookie
        self._lock = threading.Lock()

    def copy(self) -> Jar:
        """Return another browser with a copy of the cookie."""
        return Jar(self.cookie)

    def keep(self, answer: Answer) -> None:
        """Take the cookie of an answer."""
        if answer.set_cookie is not None:
            with self._lock:
                self.cookie = answer.set_cookie

    def get(self, server: Any, path: str, **parameters: Any) -> Answer:
        """Visit a page and take its cookie."""
        answer: Answer = server.get(path, self.cookie, **parameters)
        self.keep(answer)
        return answer

    def post(self, server: Any, path: str, body: bytes = b"", **parameters: Any) -> Answer:
        """Post to a page and take its cookie."""
        answer: Answer = server.post(path, self.cookie, body, **parameters)
        self.keep(answer)
        return answer


class Running:
    """A request on its way: `answer()` waits for it."""

    def __init__(self, call: Callable[[], Answer]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(call)

    def answer(self) -> Answer:
        try:
            return self._future.result(30)
        finally:
            self._pool.shutdown()


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work(number)` in threads that begin at one moment; raise what one of them raises."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait(20)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
