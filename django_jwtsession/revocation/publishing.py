"""Putting lines into the feed's table, and saying so in this process when they are there."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.db import Error, connections, router, transaction

from ..conf import get_config, in_test_environment
from ..models.retry import in_transaction, run_again
from . import reader
from .entries import SESSION, Entry

if TYPE_CHECKING:
    from .feed import Feed

logger = logging.getLogger("django_jwtsession")

# Seconds: others look back for twice as long.
_SOON = 5.0


@dataclass(frozen=True)
class Announcement:
    """What this process is to know when a transaction commits."""

    feed: Feed
    entries: list[Entry]
    pks: frozenset[int]
    using: str
    inserted_at: float

    def __call__(self) -> None:
        """Remember the entries; write them again where other processes do not look back so far."""
        if monotonic() - self.inserted_at > _SOON:
            try:
                run_again(self.using, partial(_insert, self.entries, self.using))
            except Error:  # the transaction has committed: its owner is not to hear of it
                logger.exception("An end of sessions becomes known late on other processes.")
        for entry in self.entries:
            self.feed.add(entry)


def pending(using: str) -> list[Announcement]:
    """Return what this thread's open transaction will announce, as far as it is not undone."""
    waiting = connections[using].run_on_commit
    return [each[1] for each in waiting if isinstance(each[1], Announcement)] if waiting else []


def publish(entries: Iterable[Entry]) -> None:
    """Tell all processes that sessions have ended. Without a feed nothing happens.

    This process knows at once; inside a transaction when that commits, as all the others do. The
    transaction of a TestCase, which never commits, is none.
    """
    from ..models.tables import Revocation
    from .feed import get_feed

    entries = list(entries)
    if not entries or get_config().revocation_poll is None:
        return
    using = router.db_for_write(Revocation)
    pks: frozenset[int] = frozenset()
    try:
        pks = run_again(using, partial(_insert, entries, using))
        _replace(entries, pks)
    except (AssertionError, RuntimeError):
        # A project's test that allows no database: its only process learns it right below.
        if not in_test_environment():
            raise
    announce = Announcement(get_feed(), entries, pks, using, monotonic())
    if in_transaction(using):
        transaction.on_commit(announce, using=using)
    else:
        announce()


def _insert(entries: list[Entry], using: str) -> frozenset[int]:
    """Insert lines; return their keys as far as the database tells them."""
    from ..models.tables import Revocation

    lines = [Revocation(**vars(entry)) for entry in entries]
    if len(lines) == 1:
        lines[0].save(using=using, force_insert=True)  # a transaction less
    else:
        Revocation.objects.using(using).bulk_create(lines)
    return frozenset(line.pk for line in lines if line.pk is not None)


def _replace(entries: list[Entry], pks: frozenset[int]) -> None:
    """Delete the older lines of the same user and kept session: they end nothing more."""
    ends: dict[Any, float] = {
        (entry.kind, entry.name, entry.keep_sid): entry.before or 0.0
        for entry in entries
        if entry.kind != SESSION
    }
    if not ends:
        return
    older = {
        line.pk
        for line in reader.lines_named(*{name for _, name, _ in ends})
        if (line.before or 0.0) <= ends.get((line.kind, line.name, line.keep_sid), -1.0)
    }
    if older - pks:
        reader.delete(older - pks)
