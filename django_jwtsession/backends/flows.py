"""One flow for sync and async: a generator that yields what may block, and two short runners.

As httpx's `auth_flow`. A bare `yield` says that whatever follows may ask the database, a Step that
this one thing may; it has an async twin, or runs in a thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, TypeVar

from asgiref.sync import sync_to_async

T = TypeVar("T")


class Step(NamedTuple):
    """What may block; the flow is sent what it returns, and thrown what it raises."""

    call: Callable[[], Any]
    acall: Callable[[], Awaitable[Any]] | None = None


Flow = Generator[None, Any, T]
Steps = Generator[Step | None, Any, T]


def run(flow: Steps[T]) -> T:
    """Carry a flow out and return what it returns."""
    try:
        step = next(flow)
        while True:
            try:
                result = None if step is None else step.call()
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as stop:
        returned: T = stop.value
        return returned


async def arun(flow: Steps[T]) -> T:
    """Carry a flow out: what follows a bare `yield`, and steps without a twin, in a thread."""
    try:
        step = next(flow)
        while step is not None:
            try:
                result = await (step.acall or sync_to_async(step.call))()
            except Exception as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as stop:
        returned: T = stop.value
        return returned
    return await sync_to_async(run)(flow)
