"""Sessions that are watched, and how often they have been judged: nothing waits by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from django_jwtsession.backends import live
from django_jwtsession.exceptions import SessionEnded

# Seconds after which a test has failed, however busy the machine is.
LONG = 60


class Judgements:
    """Counts the rounds in which what is watched is judged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._done = 0
        tick = live.Watcher._tick

        async def counted(watcher: live.Watcher) -> None:
            await tick(watcher)
            self._done += 1

        monkeypatch.setattr(live.Watcher, "_tick", counted)

    async def __call__(self, until: Callable[[], bool] = lambda: False) -> None:
        """Wait for three rounds: one that may have begun before, one that looks, one that doubts.

        Arguments: `until` tells that no more rounds are needed.
        """
        end = self._done + 3
        await so_far(lambda: self._done >= end or until())


async def so_far(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(LONG):
        while not condition():
            await asyncio.sleep(0.002)


async def stay(session: Any) -> bool:
    """Stay in the block of a session until it is left; tell whether that is over."""
    try:
        async with session.watch():
            await asyncio.sleep(LONG)
    except SessionEnded:
        return True
    return False


async def leave(waiting: asyncio.Task[bool]) -> None:
    """Leave a block that has not been left."""
    assert not waiting.done()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
