"""What an app of contrib builds on to stand between our middleware and the site's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse

from ..backends.answer import tell_of_failure
from .loading import is_from_elsewhere

Page = Callable[[HttpRequest], Any]


def layer(
    get_response: Callable[..., Any],
    pages: Mapping[str, Page],
    guard: Callable[[HttpRequest], None] | None,
    opens_first: Callable[[HttpRequest], bool],
) -> Any:
    """Return a middleware that an app puts inside of ours: see contrib/dbsc.

    A function `session.finish(request, response)`, where one was set, gets the answer of the site
    before the session is saved; a database out of reach there is logged, as the view has answered.
    What is called is sync and may block.

    Arguments: `pages` answer in the place of the site's views, by their paths; `guard` is called
    before each view, once the user is known, and may raise. Where another site's link leads here,
    `opens_first` tells whether the session is to be opened before the view may act for a visitor:
    if that sets `session.finish`, an empty page is answered.
    """

    def find(request: HttpRequest) -> Page | None:
        if (page := pages.get(request.path_info)) is not None:
            return page
        is_due = is_from_elsewhere(request) and opens_first(request)
        return _open if is_due else None

    def middleware(request: HttpRequest) -> Any:
        if (page := find(request)) is not None and (answer := page(request)) is not None:
            return answer
        response = get_response(request)
        if (finish := getattr(request.session, "finish", None)) is not None:
            _try(finish, request, response)
        return response

    async def amiddleware(request: HttpRequest) -> Any:
        page = find(request)
        if page is not None and (answer := await sync_to_async(page)(request)) is not None:
            return answer
        response = await get_response(request)
        if (finish := getattr(request.session, "finish", None)) is not None:
            await sync_to_async(_try)(finish, request, response)
        return response

    is_async = iscoroutinefunction(get_response)
    found: Any = amiddleware if is_async else middleware
    if guard is not None:
        found.process_view = _before_views(guard, is_async)
    return found


def _open(request: HttpRequest) -> Any:
    """Open the session; return an answer if that leaves anything to finish, else None."""
    session: Any = request.session
    try:
        session.get("")
    except (DatabaseError, InterfaceError):  # the view may do without
        return None
    if (finish := getattr(session, "finish", None)) is None:
        return None
    response = HttpResponse()
    finish(request, response)
    return response


def _try(finish: Callable[..., None], request: HttpRequest, response: Any) -> None:
    try:
        finish(request, response)
    except (DatabaseError, InterfaceError) as error:
        tell_of_failure(error)


def _before_views(guard: Callable[[HttpRequest], None], is_async: bool) -> Callable[..., Any]:
    def process_view(request: HttpRequest, *args: Any) -> None:
        guard(request)

    async def aprocess_view(request: HttpRequest, *args: Any) -> None:
        await sync_to_async(guard)(request)

    return aprocess_view if is_async else process_view
