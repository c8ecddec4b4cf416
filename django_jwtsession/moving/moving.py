"""What the middleware asks: which session a request has while sessions move in or out."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from ..conf import get_config
from . import arriving, leaving
from .ours import is_ours


def session_of(request: HttpRequest, store: type[Any]) -> Any:
    """Return the session of a request, None if it is the site's engine's as ever."""
    if get_config().migrate_to is not None:
        return leaving.session_of(request, store)
    return arriving.session_of(request, store)


def may_ask(request: HttpRequest) -> bool:
    """Tell whether session_of() may ask a database."""
    came = [request.COOKIES.get(name, "") for name in arriving.names_of_session()]
    has_ours, config = any(map(is_ours, came)), get_config()
    if config.migrate_to is None:
        return not has_ours and bool(request.COOKIES)
    return has_ours or (any(came) and (not arriving.has_all() or config.migrate_from is not None))
