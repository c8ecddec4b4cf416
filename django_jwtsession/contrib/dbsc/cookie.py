"""The cookie of the proof, and how a browser is brought to sign for another one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ..loading import load_again

# What the browser is told of the cookie beforehand: with others it signs at each request.
TOLD = "Path=/; Secure; HttpOnly; SameSite=Lax"
_ATTRIBUTES: Any = {"secure": True, "httponly": True, "samesite": "Lax"}


def cookie_name() -> str:
    """Return the cookie's name: sites of one host are as far apart as by their session cookies."""
    own = settings.SESSION_COOKIE_NAME.removeprefix("__Host-")
    return "__Host-dbsc" if own == "sessionid" else f"__Host-dbsc-{own}"


def put(response: HttpResponseBase, token: str, max_age: int) -> None:
    """Set the cookie; browsers want its attributes to delete it as well."""
    response.set_cookie(cookie_name(), token, max_age, **_ATTRIBUTES)


def take_away(request: HttpRequest, response: HttpResponseBase) -> None:
    """Delete the cookie if there is one."""
    if cookie_name() in request.COOKIES:
        put(response, "", 0)


def sign_again(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let a browser sign that did not by itself, and load the page again.

    It does not for a link of another site, nor while it has a cookie: which may be of another key,
    or too old for a view.
    """
    site = request.headers.get("Sec-Fetch-Site")  # said by all browsers that sign
    if site == "cross-site" or (site and cookie_name() in request.COOKIES):
        take_away(request, response)
        load_again(request, response)
