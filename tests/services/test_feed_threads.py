"""Threads of one process that ask the feed while one of them reads it. No service needed."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import OperationalError

from django_jwtsession.revocation import feed as feed_module
from django_jwtsession.revocation.feed import Feed, FeedUnavailable

from .client import Running
from .servers import until

IDLE = 3600  # nobody visited for an hour


@pytest.fixture(autouse=True)
def _outside_the_test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "in_test_environment", lambda: False)


class SlowFeed(Feed):
    """A feed whose database answers when it is let; `asked` counts the questions."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.reading = threading.Event()
        self.asked = 0
        self.error: Exception | None = None
        self._learning.complete = self._learning.settled = True  # a small table

    def _read(self, started: float, *args: Any) -> float:
        self.asked += 1
        self.reading.set()
        assert self.let.wait(10)
        if self.error:
            raise self.error
        return started


def refreshed(feed: Feed) -> str:
    """Return how a request's question ends."""
    try:
        feed.refresh()
    except FeedUnavailable:
        return "error"
    return "known"


def parallel(feed: SlowFeed, count: int = 5) -> list[Any]:
    """Let one thread ask, and more meanwhile; return how each question ends."""
    first = Running(lambda: refreshed(feed))  # type: ignore[arg-type, return-value]
    assert feed.reading.wait(10)
    others = [Running(lambda: refreshed(feed)) for _ in range(count)]  # type: ignore[arg-type, return-value]
    # Those that do not wait are done by now.
    time.sleep(0.05)
    feed.let.set()
    return [one.answer() for one in (first, *others)]


def test_first_requests_of_a_process_wait_for_the_first_answer() -> None:
    feed = SlowFeed()
    assert set(parallel(feed)) == {"known"}
    assert feed.asked == 1


def test_first_requests_after_a_quiet_hour_wait_for_the_answer() -> None:
    feed = SlowFeed()
    feed.let.set()
    feed.refresh()
    feed._asked_at = time.monotonic() - IDLE
    feed._next_ask = feed._asked_at + 1
    feed.let.clear()
    feed.reading.clear()
    assert set(parallel(feed)) == {"known"}
    assert feed.asked == 2


def test_threads_that_waited_for_an_answer_in_vain_do_not_ask_again_one_by_one() -> None:
    feed = SlowFeed()
    feed.error = OperationalError("gone")
    assert set(parallel(feed)) == {"error"}
    assert feed.asked == 1


def test_nobody_waits_while_the_last_answer_is_young() -> None:
    feed = SlowFeed()
    feed.let.set()
    feed.refresh()
    feed._next_ask = time.monotonic()
    feed.let.clear()
    feed.reading.clear()
    asking = Running(lambda: refreshed(feed))  # type: ignore[arg-type, return-value]
    assert feed.reading.wait(10)
    assert refreshed(feed) == "known"  # would wait for 10 s
    feed.let.set()
    assert asking.answer() == "known"
    until(lambda: feed.asked == 2)
