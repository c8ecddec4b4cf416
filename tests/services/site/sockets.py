"""Websockets that stay open until their session is over; what the process asks, and closes."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest, JsonResponse

from django_jwtsession.contrib.channels import SessionEndMiddleware, SessionMiddleware

_count = 0
# When each was closed, and what the process had taken of a processor by then.
_closed_at: list[tuple[float, float]] = []


def _note(execute: Callable[..., Any], *args: Any) -> Any:
    global _count
    _count += 1
    return execute(*args)


def _count_on(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if _note not in connection.execute_wrappers:
        connection.execute_wrappers.append(_note)


connection_created.connect(_count_on)


def statements(request: HttpRequest) -> JsonResponse:
    """How many statements this process has executed since it began, and when it closed sockets."""
    return JsonResponse({"pid": os.getpid(), "count": _count, "closed_at": _closed_at})


async def _wait(scope: Any, receive: Any, send: Any) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})


_watched = SessionMiddleware(SessionEndMiddleware(_wait))


async def _socket(scope: Any, receive: Any, send: Any) -> None:
    async def note(message: Any) -> None:
        await send(message)
        if message["type"] == "websocket.close":
            _closed_at.append((time.time(), time.process_time()))

    await _watched(scope, receive, note)


def with_sockets(http: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return an application that has sockets beside its pages."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await (_socket if scope["type"] == "websocket" else http)(scope, receive, send)

    return application
