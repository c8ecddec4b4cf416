"""Putting lines into the feed's table, and saying so in this process when they are there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from time import monotonic

from django.db import transaction

from ..conf import get_config, in_test_environment
from ..models.place import current_alias
from ..models.retry import in_transaction, run_again
from . import reader
from .announcements import Announcement, insert
from .entries import SESSION, Entry
from .feed import get_feed
from .memory import Memory


def publish(entries: Iterable[Entry]) -> None:
    """Tell all processes that sessions have ended. Without a feed nothing happens.

    This process knows at once; inside a transaction when that commits, as all the others do. The
    transaction of a TestCase, which never commits, is none.
    """
    entries = list(entries)
    if not entries or get_config().revocation_poll is None:
        return
    using = current_alias()
    pks: frozenset[int] = frozenset()
    try:
        pks = run_again(using, partial(insert, entries, using))
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


def _replace(entries: list[Entry], pks: frozenset[int]) -> None:
    """Delete the older lines of the same users: they end nothing more."""
    names = {entry.name for entry in entries if entry.kind != SESSION}
    if names:
        memory = Memory()
        memory.put(reader.lines_named(*names))
        if memory.superseded - pks:
            reader.delete(memory.superseded - pks)
