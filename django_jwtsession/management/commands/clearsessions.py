"""Django's command of this name, which is only there with ``django.contrib.sessions`` installed."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.management.commands import clearsessions
from django.core.management.base import CommandError
from django.db import DatabaseError


class Command(clearsessions.Command):
    """Clears what the engine's `clear_expired()` clears; silent, for cron."""

    # Their warnings would be a mail each night, and some of Django's ask the database.
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """See the help. Raises CommandError, also where the database cannot be asked."""
        try:
            super().handle(*args, **options)
        except DatabaseError as error:
            line = " ".join(str(error).split())
            raise CommandError(f"Expired sessions were not all cleared: {line}") from error
