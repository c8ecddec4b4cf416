"""``manage.py jwtsession migrate`` and ``export --to``: all sessions, in or out."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from ...conf import get_config
from ...moving import bulk
from ...moving.engines import engine_of

Say = Callable[[str], None]


def migrate(say: Say, dry_run: bool) -> None:
    """Move, or count, the sessions of the engines that MIGRATE_FROM names."""
    config = get_config()
    if config.migrate_from is None:
        raise CommandError(
            'Write JWTSESSION["MIGRATE_FROM"] = "django.contrib.sessions.backends.db", or whichever'
            " engine the sessions are of."
        )
    if config.migrate_share < 1 and not dry_run:
        raise CommandError(
            f'JWTSESSION["MIGRATE_SHARE"] is {config.migrate_share}: with all rows, all browsers'
            " would move. Take it out first."
        )
    try:
        tally = bulk.migrate(say, dry_run)
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from None
    _report(say, tally, "can move" if dry_run else "moved")


def export(say: Say, warn: Say, path: str) -> None:
    """Move the sessions of this package into another engine."""
    try:
        engine_of(path)
    except (ImportError, AttributeError, ImproperlyConfigured, ValueError):
        raise CommandError(f"{path!r} is no session engine: it has no SessionStore.") from None
    if get_config().migrate_to != path:
        warn(
            f'JWTSESSION["MIGRATE_TO"] is not {path!r}: browsers find these sessions once it is,'
            " on all servers."
        )
    _report(say, bulk.export(path, say), "moved")


def _report(say: Say, tally: bulk.Tally, verb: str) -> None:
    say(f"{tally.total} sessions, {tally.moved} {verb}, {tally.stay.total()} cannot")
    for why, count in tally.stay.most_common():
        say(f"  {count}: it {why}")
