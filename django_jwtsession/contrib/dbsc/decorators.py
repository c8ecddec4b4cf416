"""Views that need a fresh proof of the device."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from .cookie import sign_again


def device_bound(view: Callable[..., Any] | None = None, *, max_age: float = 600) -> Any:
    """Let a view, sync or async, be seen with a proof that is at most `max_age` seconds old.

    Raises PermissionDenied (403): also for visitors, and in browsers that bind no sessions.
    """
    if view is None:
        return lambda view: device_bound(view, max_age=max_age)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        require_proof(request, max_age)
        return view(request, *args, **kwargs)

    @wraps(view)
    async def aguarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        await request.session.aget("")  # loads it
        return await guarded(request, *args, **kwargs)

    return aguarded if iscoroutinefunction(view) else guarded


def require_proof(request: HttpRequest, max_age: float = float("inf")) -> None:
    """Raise PermissionDenied unless the request brings a proof that is fresh enough."""
    session: Any = request.session
    if (age := getattr(session, "device_bound", None)) is None or age > max_age:
        if at := getattr(session, "logged_in_at", None):
            # For 30 s after a login the binding may be under way: the page reloads.
            is_new = age is None and time.time() - at < 30
            session.finish = _reload if is_new else sign_again
        raise PermissionDenied("This page needs a fresh proof of the device's key.")


def _reload(request: HttpRequest, response: Any) -> None:
    if response.status_code == 403 and request.method == "GET":
        response.headers["Refresh"] = "2"
