"""What an open transaction has ended, and what this process is to know when it commits."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Protocol

from django.db import Error, connections

from ..models.registry import revocation_model
from ..models.retry import run_again
from .entries import Entry

logger = logging.getLogger("django_jwtsession")

# Seconds: others look back for twice as long.
_SOON = 5.0


class Knows(Protocol):
    """A feed, as far as it matters here."""

    def add(self, entry: Entry) -> None: ...


@dataclass(frozen=True)
class Announcement:
    """What this process is to know when a transaction commits."""

    feed: Knows
    entries: list[Entry]
    pks: frozenset[int]
    using: str
    inserted_at: float

    def __call__(self) -> None:
        """Remember the entries; write them again where other processes do not look back so far."""
        if monotonic() - self.inserted_at > _SOON:
            try:
                run_again(self.using, partial(insert, self.entries, self.using))
            except Error:  # the transaction has committed: its owner is not to hear of it
                logger.exception("An end of sessions becomes known late on other processes.")
        for entry in self.entries:
            self.feed.add(entry)


def pending(using: str) -> list[Announcement]:
    """Return what this thread's open transaction will announce, as far as it is not undone."""
    waiting = connections[using].run_on_commit
    return [each[1] for each in waiting if isinstance(each[1], Announcement)] if waiting else []


def insert(entries: list[Entry], using: str) -> frozenset[int]:
    """Insert lines; return their keys as far as the database tells them."""
    model = revocation_model()
    lines = [model(**vars(entry)) for entry in entries]
    if len(lines) == 1:
        lines[0].save(using=using, force_insert=True)  # a transaction less
    else:
        model.objects.using(using).bulk_create(lines)
    return frozenset(line.pk for line in lines if line.pk is not None)
