"""The session cookie on an answer, and the headers that keep caches from mixing up visitors."""

from __future__ import annotations

import logging
import math
import time
from functools import lru_cache
from http.cookies import Morsel
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control
from django.utils.http import http_date, parse_http_date_safe

from ..models.writable import takes_no_writes
from .options import Place, options

logger = logging.getLogger("django_jwtsession")

# The views whose answers were made private, as far as the log has been told.
_told: set[str] = set()
_MOST_TOLD = 1000

# Seconds for which failures of one kind share a record.
_FAILURE_EVERY = 60.0
_told_of_failure_at = float("-inf")
# Seconds for which what is optional is not tried again by a process whose database takes no writes:
# of a locked SQLite file each try waits five.
_REST = 5.0


def set_session_cookie(response: HttpResponseBase, value: str, max_age: float | None) -> None:
    """Set the session cookie as the settings describe it; `max_age` in seconds.

    By set_cookie(), which a site may have overridden.
    """
    seconds = None if max_age is None else math.ceil(max_age)  # browsers drop 3.5
    response.set_cookie(
        options.name,
        value,
        max_age=seconds,
        expires=None if seconds is None else _date(int(time.time()) + seconds),
        domain=options.domain,
        path=options.path,
        secure=options.secure,
        httponly=options.httponly,
        samesite=options.samesite,
    )


@lru_cache(8)
def _date(second: int) -> str:
    return http_date(second)


def delete_session_cookie(response: HttpResponseBase) -> None:
    """Delete the session cookie with the attributes that browsers look at."""
    _delete(response, Place(options.name, options.domain, options.path))


def delete_where_it_was(request: HttpRequest, response: HttpResponseBase) -> None:
    """Delete the session cookies at the places of COOKIE_WAS whose names came with the request."""
    for place in options.was:
        if place.name not in request.COOKIES:
            continue
        scratch = HttpResponseBase()
        _delete(scratch, place)
        # A key of its own: there may be another cookie of the name, at another place.
        key = f"{place.name}; {place.domain or ''}; {place.path}"
        morsel: Morsel[str] = scratch.cookies[place.name]
        response.cookies[key] = morsel


def _delete(response: HttpResponseBase, place: Place) -> None:
    """Delete the cookie at `place`.

    A browser ignores a Set-Cookie without Secure and HttpOnly for a name with the prefix __Http- or
    __Host-Http-, also one that deletes: Django's delete_cookie() cannot remove such a cookie.
    """
    name = place.name
    response.delete_cookie(name, path=place.path, domain=place.domain, samesite=options.samesite)
    cookie = response.cookies.get(name)
    if cookie is None:  # a site's own delete_cookie() thought otherwise
        return
    if options.secure:
        cookie["secure"] = True
    if name.lower().startswith(("__http-", "__host-http-")):
        cookie["secure"] = cookie["httponly"] = True


class OptionalWrites:
    """Whether what may wait is written now. One instance a process."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Be as a process that has just started."""
        self._rest_until = float("-inf")

    def rest(self) -> None:
        self._rest_until = time.monotonic() + _REST

    def may_be_tried(self) -> bool:
        return time.monotonic() >= self._rest_until


optional_writes = OptionalWrites()


def tell_of_failure(error: Exception, is_optional: bool = True) -> None:
    """Log, once a minute, that something could not be done for a session.

    What is optional rests then, if the database takes no writes.
    """
    global _told_of_failure_at
    now = time.monotonic()
    if is_optional and takes_no_writes(error):
        optional_writes.rest()
    if now - _told_of_failure_at < _FAILURE_EVERY:
        return
    _told_of_failure_at = now
    if takes_no_writes(error):
        logger.error(
            "The database takes no writes (a standby, a full disk, a locked file): sessions are"
            " read and go on; logins, logouts and changes fail until it does. It says: %s",
            error,
        )
    else:
        message = "A session could not be brought up to date; the next request tries again."
        logger.warning(message, exc_info=error)


# --- caches --------------------------------------------------------------------------------------


def may_be_shared(response: HttpResponseBase) -> bool:
    """Tell whether the view lets others than this visitor store the answer (RFC 9111 3)."""
    return _may_be_shared(response, response.headers.get("Cache-Control"))


def _may_be_shared(response: HttpResponseBase, said: str | None) -> bool:
    if said is None:
        expires = response.headers.get("Expires")
        return expires is not None and _lies_ahead(expires)
    directives = _directives(said)
    if not directives.keys().isdisjoint({"private", "no-store"}):
        return False
    if "public" in directives or "s-maxage" in directives:
        return True
    return directives.get("max-age", "0").strip('"').lstrip("0") != ""


def _directives(header: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in header.split(","))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _lies_ahead(date: str) -> bool:
    at = parse_http_date_safe(date)
    return at is not None and at > time.time()


def keep_private(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let nobody else store an answer that sets or deletes the session cookie."""
    said = response.headers.get("Cache-Control")
    is_shared = _may_be_shared(response, said)
    if said is None and not is_shared:
        response.headers["Cache-Control"] = "private, no-store"
        return
    if is_shared:
        _tell(request)
    directives = _directives(said or "")
    if "private" in directives:
        return
    if "s-maxage" in directives:
        del response.headers["Cache-Control"]
        rest = {name: value for name, value in directives.items() if name != "s-maxage"}
        response.headers["Cache-Control"] = ", ".join(
            f"{name}={value}" if value else name for name, value in rest.items() if name
        )
    patch_cache_control(response, private=True)


def _tell(request: HttpRequest) -> None:
    """Say once a view that its answer is private now."""
    match: Any = getattr(request, "resolver_match", None)
    view = getattr(match, "_func_path", "") or "a view"
    if view not in _told and len(_told) < _MOST_TOLD:
        _told.add(view)
        logger.warning(
            "The answer of %s may be stored by others (Cache-Control) and sets the session cookie:"
            " it is private now. Do not write to the session there, or say `private`.",
            view,
        )
