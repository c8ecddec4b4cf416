"""A process that learns through REVOCATION_CACHE, without a database."""

from __future__ import annotations

import time
from typing import Any

from django_jwtsession.revocation.entries import Line
from django_jwtsession.revocation.relay import Relay


def line(pk: int) -> Line:
    return Line(pk, "s", f"{pk}", None, None, "", "test", 2e9, 1.0)


class Process:
    """A process: `table` has the keys of lines that all see, `known` those it knows."""

    def __init__(self, table: list[int], place: str = "") -> None:
        self.table = table
        self.relay = Relay(place)
        self.known: list[int] = []
        self.known_at = float("-inf")
        self.questions = 0

    def take(self, lines: list[Line]) -> None:
        self.known += [one.pk for one in lines if one.pk not in self.known]

    def ask(self) -> list[Line]:
        self.questions += 1
        new = [line(pk) for pk in self.table if pk not in self.known]
        self.take(new)
        return new

    def poll(self, interval: float = 1.0) -> Any:
        """Return how many seconds ago all was known, None where that is found out by another."""
        now = time.time()
        known_at = self.relay.poll(now, self.known_at, interval, self.take, self.ask)
        if known_at is None:
            return None
        self.known_at = known_at
        return round(now - known_at, 6)
