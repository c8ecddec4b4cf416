"""A client of many websockets: opens them, and notes when and with what code each is closed."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import time
from dataclasses import dataclass, field

_OPENING = 50  # handshakes at a time


@dataclass
class Sockets:
    """What became of the sockets of one server; times are of time.monotonic()."""

    port: int
    closed: list[tuple[float, int]] = field(default_factory=list)
    _waiting: list[asyncio.Task[None]] = field(default_factory=list)
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_OPENING))

    async def open(self, cookies: list[str]) -> None:
        """Open a socket for each cookie."""
        await asyncio.gather(*(self._open(cookie) for cookie in cookies))

    async def _open(self, cookie: str) -> None:
        async with self._gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write(
                f"GET /socket/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                f"Cookie: sessionid={cookie}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101"), head.split(b"\r\n")[0]
        self._waiting.append(asyncio.create_task(self._wait(reader, writer)))

    async def _wait(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read frames until the one that closes (RFC 6455 5.5.1)."""
        try:
            while True:
                first, length = await reader.readexactly(2)
                body = await reader.readexactly(length)
                if first & 0x0F == 9:  # who does not answer a ping is taken for gone
                    masked = b"".join(bytes([byte ^ 0x55]) for byte in body)
                    writer.write(bytes([0x8A, 0x80 | length]) + b"\x55" * 4 + masked)
                if first & 0x0F == 8:
                    self.closed.append((time.monotonic(), struct.unpack(">H", body[:2])[0]))
                    return
        finally:
            writer.transport.abort()

    async def all_closed(self, seconds: float) -> None:
        """Wait until all are closed."""
        await asyncio.wait_for(asyncio.gather(*self._waiting), seconds)

    async def leave(self) -> None:
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next round
