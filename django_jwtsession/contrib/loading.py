"""Pages that are to be loaded again; imports no models, so that an app's decorators can use it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def load_again(request: HttpRequest, response: Any) -> None:
    """Let a browser load a page again, now from this site and no longer from another's link.

    What the view has noted for a visitor is dropped: the cookie of that would be in the place of
    the session that the page is to be loaded with.
    """
    if request.method != "GET" or request.headers.get("Sec-Fetch-Mode") != "navigate":
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
