"""What a test wants to be other than in real life: the clock, how long a rotation settles."""

import os
from datetime import timedelta

import time_machine


def apply() -> None:
    """Let this process's clock be SITE_CLOCK seconds off, and rotations settle in SITE_SETTLE."""
    from django_jwtsession.backends import rotation

    if seconds := float(os.environ["SITE_CLOCK"]):
        time_machine.travel(timedelta(seconds=seconds), tick=True).start()
    if settle := os.environ["SITE_SETTLE"]:
        rotation.SETTLE = float(settle)
