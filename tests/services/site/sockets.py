"""Websockets that stay open until their session is over, and a count of what the process asks."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest, JsonResponse

from django_jwtsession.contrib.channels import SessionEndMiddleware, SessionMiddleware

_count = 0


def _note(execute: Callable[..., Any], *args: Any) -> Any:
    global _count
    _count += 1
    return execute(*args)


def _count_on(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if _note not in connection.execute_wrappers:
        connection.execute_wrappers.append(_note)


connection_created.connect(_count_on)


def statements(request: HttpRequest) -> JsonResponse:
    """How many statements this process has executed since it began."""
    return JsonResponse({"pid": os.getpid(), "count": _count})


async def _wait(scope: Any, receive: Any, send: Any) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})


_socket = SessionMiddleware(SessionEndMiddleware(_wait))


def with_sockets(http: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return an application that has sockets beside its pages."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await (_socket if scope["type"] == "websocket" else http)(scope, receive, send)

    return application
