"""For Channels, and any other ASGI application with websockets; imports no Channels itself.

application = ProtocolTypeRouter({
    "http": get_asgi_application(),
    "websocket": SessionMiddleware(AuthMiddleware(SessionEndMiddleware(URLRouter([...])))),
})
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from django.http import HttpRequest, HttpResponse, parse_cookie

from ..backends import live
from ..backends.base import TokenSession
from ..exceptions import SessionEnded
from ..middleware import SessionMiddleware as HttpSessionMiddleware

__all__ = ["SESSION_ENDED", "SessionConsumerMixin", "SessionEndMiddleware", "SessionMiddleware"]

# The close codes of RFC 6455 7.4: one of the application's own, as HTTP's 401; an internal error.
SESSION_ENDED = 4401
_INTERNAL_ERROR = 1011

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[Any]]

_WITH_HEADERS = frozenset({"websocket.accept", "http.response.start"})


class SessionMiddleware:
    """Puts `session` and `cookies` into the scope: instead of Channels' SessionMiddlewareStack.

    As Django's middleware answers a request, this one answers the handshake: a session that was
    used and is due is extended, one that was changed is saved, and the cookie goes out with the
    answer's headers. What a consumer changes later it saves itself: `await session.asave()`.
    """

    def __init__(self, inner: App) -> None:
        self.inner = inner
        self._http = HttpSessionMiddleware(_no_view)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        if scope["type"] not in ("websocket", "http") or "session" in scope:
            return await self.inner(scope, receive, send)
        request = _request(scope)
        self._http.process_request(request)
        is_answered = False

        async def answer(message: Message) -> None:
            nonlocal is_answered
            if message["type"] in _WITH_HEADERS and not is_answered:
                is_answered = True
                message = {**message, "headers": await self._headers(request, message)}
            await send(message)

        scope = {**scope, "session": request.session, "cookies": request.COOKIES}
        return await self.inner(scope, receive, answer)

    async def _headers(self, request: HttpRequest, message: Message) -> list[tuple[bytes, bytes]]:
        """Return the headers of the handshake's answer, with the session's cookie if one is due."""
        sent = list(message.get("headers") or ())
        response = HttpResponse(status=message.get("status", 101))
        del response.headers["Content-Type"]
        response = await self._http.aprocess_response(request, response)
        own = [] if message["type"] == "websocket.accept" else response.items()
        added = [(name.lower().encode(), value.encode("latin-1")) for name, value in own]
        cookies = (cookie.OutputString() for cookie in response.cookies.values())
        return [*sent, *added, *((b"set-cookie", each.encode("ascii")) for each in cookies)]


def _no_view(request: HttpRequest) -> HttpResponse:
    raise AssertionError("A handshake has no view.")


def _request(scope: Scope) -> HttpRequest:
    """Return what the middleware asks of a request; a websocket has no method, and may write."""
    request = HttpRequest()
    request.path = request.path_info = scope.get("path", "")
    request.method = scope.get("method")
    request.META = {"REQUEST_METHOD": request.method} if request.method else {}
    request.META |= _headers_as_meta(scope.get("headers", ()))
    if scope.get("client"):
        request.META["REMOTE_ADDR"] = scope["client"][0]
    request.COOKIES = parse_cookie(request.META.get("HTTP_COOKIE", ""))
    return request


def _headers_as_meta(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    meta: dict[str, str] = {}
    for raw, value in headers:
        name = "HTTP_" + raw.decode("latin-1").upper().replace("-", "_")
        joint = "; " if name == "HTTP_COOKIE" else ","
        text = value.decode("latin-1")
        meta[name] = f"{meta[name]}{joint}{text}" if name in meta else text
    return meta


class SessionEndMiddleware:
    """Closes a websocket with 4401 when the session it was opened with is over.

    Stands inside whatever puts `session` into the scope. The application is told by a
    `websocket.disconnect` with the same code, so that it cleans up as ever; what it sends after
    that is dropped. A visitor without a session is let through, and is not watched.
    """

    def __init__(self, inner: App) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        session: Any = scope.get("session")
        if scope["type"] != "websocket" or not isinstance(session, TokenSession):
            return await self.inner(scope, receive, send)
        await session._aget_session()
        if session.sid is None:
            return await self.inner(scope, receive, send)
        socket = _Socket(receive, send)
        watched = None
        try:
            watched = await live.begin(session, socket.end)
            return await self.inner(scope, socket.receive, socket.send)
        except SessionEnded:  # of begin(): only a socket that is open can be given a code
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": SESSION_ENDED})
        finally:
            live.end(watched)
            await socket.leave()


class SessionConsumerMixin:
    """Does for one consumer of Channels, sync or async, what SessionEndMiddleware does for all.

    Stands first among the bases; `disconnect(code)` is called with 4401.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        consumer: App = super().__call__  # type: ignore[misc]
        return await SessionEndMiddleware(consumer)(scope, receive, send)


class _Socket:
    """A websocket between server and application, which can be ended between the two."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._over = asyncio.get_running_loop().create_future()
        self._next: asyncio.Task[Message] | None = None
        self._closing: asyncio.Task[None] | None = None

    def end(self, error: Exception) -> None:
        """Close it; called once, in the event loop."""
        code = SESSION_ENDED if isinstance(error, SessionEnded) else _INTERNAL_ERROR
        self._over.set_result(code)
        self._closing = asyncio.create_task(self._close(code))

    async def _close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code})

    async def receive(self) -> Message:
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
        waiting: set[asyncio.Future[Any]] = {self._next, self._over}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if self._over.done():
            return {"type": "websocket.disconnect", "code": self._over.result()}
        came, self._next = self._next, None
        return came.result()

    async def send(self, message: Message) -> None:
        if not self._over.done():
            await self._send(message)

    async def leave(self) -> None:
        """Wait for nothing more of the server; the close that is under way goes out."""
        if self._next is not None:
            self._next.cancel()
        if self._closing is not None:
            await asyncio.gather(self._closing, return_exceptions=True)
