"""What a test wants to be other than in real life: the clock, how long something takes."""

import os
from datetime import timedelta
from typing import Any

from django.contrib.auth.signals import user_logged_in

_clock: Any = None


def shift(seconds: float) -> None:
    """Move this process's clock, which goes on from there."""
    global _clock
    if _clock is None:
        import time_machine  # brings pytest along: most servers need neither

        _clock = time_machine.travel(timedelta(seconds=seconds), tick=True).start()
    else:
        _clock.shift(seconds)


def apply() -> None:
    """Let this process's clock be SITE_CLOCK seconds off, and rotations settle in SITE_SETTLE.

    SITE_LONG_LOOK is how often (seconds) it looks for what the database has lost. On several nodes
    Django notes no login in the user's row: it tries no conflict again, and says 500.
    """
    from django_jwtsession.backends import rotation
    from django_jwtsession.revocation import learning

    if seconds := float(os.environ["SITE_CLOCK"]):
        shift(seconds)
    if settle := os.environ["SITE_SETTLE"]:
        rotation.SETTLE = float(settle)
    if seconds := float(os.environ.get("SITE_LONG_LOOK", "0")):
        learning._LONG_LOOK_EVERY = seconds
    if os.environ.get("SEVERAL_NODES"):
        user_logged_in.disconnect(dispatch_uid="update_last_login")
    _break(os.environ.get("SITE_BREAK", ""))


def _break(what: str) -> None:
    """Take out what keeps a promise, for tests that must notice it."""
    from django_jwtsession.backends import rows
    from django_jwtsession.models import retry
    from django_jwtsession.revocation.marks import Marks

    if what == "compare-and-swap":
        update = rows.update

        def overwrite(model: Any, pk: Any, columns: Any, **expected: Any) -> bool:
            expected.pop("version", None)
            return update(model, pk, columns, **expected)

        rows.update = overwrite
    if what == "retries":
        retry._PATIENCE = 0
    if what == "look back":
        Marks.since = lambda marks, *_: marks.newest  # type: ignore[method-assign]
