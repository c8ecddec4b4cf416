"""One flow for sync and async: a generator that yields before the database may be asked.

As httpx's `auth_flow`, but simpler: what comes after the first `yield` runs in one thread.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from asgiref.sync import sync_to_async

T = TypeVar("T")
Flow = Generator[None, None, T]


def run(flow: Flow[T]) -> T:
    """Carry a flow out and return what it returns."""
    while True:
        try:
            next(flow)
        except StopIteration as stop:
            result: T = stop.value
            return result


async def arun(flow: Flow[T]) -> T:
    """Carry a flow out: in the event loop up to its first `yield`, the rest in a thread."""
    try:
        next(flow)
    except StopIteration as stop:
        result: T = stop.value
        return result
    return await sync_to_async(run)(flow)
