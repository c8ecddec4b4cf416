"""A visitor of the Next.js example: urllib with a cookie jar, at one origin."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from http.cookiejar import Cookie, CookieJar
from typing import Any, NamedTuple

COOKIE = "sessionid"
SECRET = "a-secret-of-the-interop-tests-in-more-than-32-bytes"
USER, PASSWORD = "ada", "analytical-engine"
LOGIN = "/login?next=%2Fdashboard"


class Page(NamedTuple):
    status: int
    headers: Message
    text: str

    @property
    def location(self) -> str:
        """Where a redirect leads, without the origin."""
        url = urllib.parse.urlsplit(self.headers.get("Location", ""))
        return url._replace(scheme="", netloc="").geturl()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


class Browser:
    """Keeps cookies as browsers do; a redirect is an answer like any other."""

    def __init__(self, origin: str, token: str | None = None) -> None:
        self.origin = origin
        self._jar = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._jar), _Stay
        )
        if token is not None:
            self.token = token

    def get(self, path: str, headers: dict[str, str] | None = None) -> Page:
        return self._open(urllib.request.Request(self.origin + path, headers=headers or {}))

    def submit(self, path: str, action: str | None = None, **fields: str) -> Page:
        """Fill in the form on the page at `path` and send it to `action`, by default back there."""
        page = self.get(path)
        csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert csrf, f"{path} has no form: {page.status}"
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": csrf[1], **fields}).encode()
        headers = {"Origin": self.origin, "Referer": self.origin + path}
        url = self.origin + (path if action is None else action)
        return self._open(urllib.request.Request(url, data, headers))

    def log_in(self, path: str = "/login", user: str = USER) -> Page:
        target = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query).get("next", [""])[0]
        page = self.submit(path, username=user, password=PASSWORD, next=target)
        assert (page.status, bool(self.token)) == (302, True), page
        return page

    def log_out(self) -> Page:
        return self.submit("/profile", "/logout")

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            response = self._opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Page(response.status, response.headers, response.read().decode())

    @property
    def token(self) -> str | None:
        """The session cookie, None where the jar has none."""
        return next((cookie.value for cookie in self._jar if cookie.name == COOKIE), None)

    @token.setter
    def token(self, value: str) -> None:
        host = urllib.parse.urlsplit(self.origin).hostname
        assert host
        unused: Any = {"comment": None, "comment_url": None, "rest": {}}
        port: Any = {"port": None, "port_specified": False}
        domain: Any = {"domain_specified": False, "domain_initial_dot": False}
        path: Any = {"path": "/", "path_specified": True}
        life: Any = {"secure": False, "expires": None, "discard": True}
        self._jar.set_cookie(
            Cookie(0, COOKIE, value, domain=host, **port, **domain, **path, **life, **unused)
        )


def assert_refused(page: Page) -> None:
    assert (page.status, page.location) == (303, LOGIN)
    assert "no-store" in page.headers["Cache-Control"]


def assert_greets(page: Page, sub: str) -> None:
    assert page.status == 200
    assert f"Hello, user {sub}" in page.text.replace("<!-- -->", "")
    assert "no-store" in page.headers["Cache-Control"]
