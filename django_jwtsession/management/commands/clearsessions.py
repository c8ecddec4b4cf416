"""Django's command of this name, which is only there with ``django.contrib.sessions`` installed."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.sessions.management.commands import clearsessions
from django.core.management.base import CommandError
from django.db import DatabaseError

from ...models.clearing import progress


class Command(clearsessions.Command):
    """Clears what the engine's `clear_expired()` clears; silent, for cron.

    With ``--verbosity 2`` it says how far it has come. It may be stopped at any point.
    """

    # Their warnings would be a mail each night, and some of Django's ask the database.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """See the help. Raises CommandError, also where the database cannot be asked."""
        if getattr(self, "_called_from_command_line", False):  # not in somebody's process
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _stop)
        try:
            with _shown(self.stdout, options.get("verbosity", 1)):
                super().handle(*args, **options)
        except DatabaseError as error:
            line = " ".join(str(error).split())
            raise CommandError(f"Expired sessions were not all cleared: {line}") from error
        except _Stopped as stopped:
            line = "Stopped: what was cleared is gone, and the next run goes on from there."
            raise CommandError(line, returncode=128 + stopped.args[0]) from None


class _Stopped(KeyboardInterrupt):
    """A signal came; database drivers know its base class and cancel their statement."""


def _stop(number: int, frame: Any) -> None:
    raise _Stopped(number)


@contextmanager
def _shown(out: Any, verbosity: int) -> Iterator[None]:
    """Show the progress, if it is asked for."""
    if verbosity < 2:
        yield
        return
    handler = logging.StreamHandler(out)
    handler.terminator = ""  # `out` ends its lines itself
    level = progress.level
    progress.addHandler(handler)
    progress.setLevel(logging.INFO)
    try:
        yield
    finally:
        progress.removeHandler(handler)
        progress.setLevel(level)
