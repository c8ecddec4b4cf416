"""Pages that are to be loaded again; imports no models, so that an app's decorators can use it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def load_again(request: HttpRequest, response: Any) -> None:
    """Let a browser load a page again, now from this site and no longer from another's link.

    What the view has noted for a visitor is dropped: the cookie of that would be in the place of
    the session that the page is to be loaded with.
    """
    if not _is_page(request):
        return
    if "Location" in response.headers:
        response.status_code = 200
        del response.headers["Location"]
    session: Any = request.session
    if session.sid is None:
        session.clear()
        session.modified = False
    response.headers["Refresh"] = "0"
    response.headers["Cache-Control"] = "private, no-store"


def is_from_elsewhere(request: HttpRequest) -> bool:
    """Tell whether another site's link leads to a page, with a session."""
    is_link = _is_page(request) and request.headers.get("Sec-Fetch-Site") == "cross-site"
    return is_link and settings.SESSION_COOKIE_NAME in request.COOKIES


def _is_page(request: HttpRequest) -> bool:
    return request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
