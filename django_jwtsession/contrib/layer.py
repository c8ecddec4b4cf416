"""What an app of contrib builds on to stand between our middleware and the site's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest

from ..backends.answer import tell_of_failure

Page = Callable[[HttpRequest], Any]


def layer(
    get_response: Callable[..., Any],
    pages: Mapping[str, Page],
    guard: Callable[[HttpRequest], None] | None,
) -> Any:
    """Return a middleware that an app puts inside of ours: see contrib/dbsc.

    A function `session.finish(request, response)`, where one was set, gets the answer of the site
    before the session is saved; a database out of reach there is logged, as the view has answered.
    What is called is sync and may block.

    Arguments: `pages` answer in the place of the site's views, by their paths; `guard` is called
    before each view, once the user is known, and may raise.
    """

    def middleware(request: HttpRequest) -> Any:
        if (page := pages.get(request.path_info)) is not None:
            return page(request)
        response = get_response(request)
        if (finish := getattr(request.session, "finish", None)) is not None:
            _try(finish, request, response)
        return response

    async def amiddleware(request: HttpRequest) -> Any:
        if (page := pages.get(request.path_info)) is not None:
            return await sync_to_async(page)(request)
        response = await get_response(request)
        if (finish := getattr(request.session, "finish", None)) is not None:
            await sync_to_async(_try)(finish, request, response)
        return response

    is_async = iscoroutinefunction(get_response)
    found: Any = amiddleware if is_async else middleware
    if guard is not None:
        found.process_view = _before_views(guard, is_async)
    return found


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
