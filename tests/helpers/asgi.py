"""Async visits in the thread of the test: what is handed to a thread is called on the spot.

A visit has a dozen or two such hand-overs, which took nine tenths of its time. A call is made
outside the event loop all the same, so Django still refuses a query that the loop itself would
make. Real threads: tests/test_asgi.py, tests/backends/test_stream.py and tests/services.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from asyncio.events import _set_running_loop
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync

_T = TypeVar("_T")


class _Here(threading.local):
    """The loops of a thread, of which a visit inside a visit needs one of its own."""

    def __init__(self) -> None:
        self.idle: list[asyncio.AbstractEventLoop] = []
        self.running: set[asyncio.AbstractEventLoop] = set()


_here = _Here()
_hand_over = SyncToAsync.__call__


async def _call(self: Any, *args: Any, **kwargs: Any) -> Any:
    loop = asyncio.get_running_loop()
    if loop not in _here.running or not self._thread_sensitive or self.context is not None:
        return await _hand_over(self, *args, **kwargs)
    _set_running_loop(None)
    try:
        return self.func(*args, **kwargs)
    finally:
        _set_running_loop(loop)


SyncToAsync.__call__ = _call  # type: ignore[method-assign]


def run(function: Callable[..., Coroutine[Any, Any, _T]], *args: Any, **kwargs: Any) -> _T:
    """Call an async function, such as a method of AsyncClient, and return its result."""
    loop = _here.idle.pop() if _here.idle else _new_loop()
    _here.running.add(loop)
    try:
        return loop.run_until_complete(function(*args, **kwargs))
    finally:
        _here.running.remove(loop)
        _here.idle.append(loop)


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop
