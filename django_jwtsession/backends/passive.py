"""Requests behind which no visitor stands: they keep no session alive (ASVS 5.0 7.3.1)."""

from __future__ import annotations

from django.http import HttpRequest

from ..conf import get_config


def is_passive(request: HttpRequest) -> bool:
    """Tell whether a request came by itself: a poll, a stream, a prefetch.

    That stops the extension of the session and nothing else: what a thief could hide behind a
    header goes on.
    """
    get = request.META.get
    return (
        get("HTTP_X_SESSION_PASSIVE") == "1"
        or get("HTTP_SEC_PURPOSE", "").startswith("prefetch")
        or get("HTTP_ACCEPT", "").startswith("text/event-stream")
        or any(_covers(path, request.path_info) for path in get_config().passive_paths)
    )


def _covers(path: str, asked: str) -> bool:
    """Tell whether a path of PASSIVE_PATHS means the one asked for: itself, or all below a "/"."""
    return asked.startswith(path) if path.endswith("/") else asked == path
