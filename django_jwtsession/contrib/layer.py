"""What an app of contrib builds on to stand between our middleware and the site's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest


class Layer:
    """A middleware that an app puts inside of ours: see contrib/dbsc.

    Its methods say, without blocking, which function is to be called, which may block.
    """

    def __init__(self, get_response: Callable[..., Any]) -> None:
        self.get_response = get_response
        self.process_view: Callable[..., Any] = self._guard
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            self.process_view = self._aguard
            markcoroutinefunction(self)

    def answering(self, request: HttpRequest) -> Callable[[HttpRequest], Any] | None:
        """Return what answers a request in the place of the site's views."""
        return None

    def guarding(self) -> Callable[[HttpRequest], None] | None:
        """Return what is called before a view, once the user is known; it may raise."""
        return None

    def finishing(self, request: HttpRequest) -> Callable[[HttpRequest, Any], None] | None:
        """Return what is done with the answer of the site, before the session is saved."""
        return None

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self.__acall__(request)
        if answer := self.answering(request):
            return answer(request)
        response = self.get_response(request)
        if finish := self.finishing(request):
            finish(request, response)
        return response

    async def __acall__(self, request: HttpRequest) -> Any:
        if answer := self.answering(request):
            return await sync_to_async(answer)(request)
        response = await self.get_response(request)
        if finish := self.finishing(request):
            await sync_to_async(finish)(request, response)
        return response

    def _guard(self, request: HttpRequest, *args: Any) -> None:
        if guard := self.guarding():
            guard(request)

    async def _aguard(self, request: HttpRequest, *args: Any) -> None:
        if guard := self.guarding():
            await sync_to_async(guard)(request)
