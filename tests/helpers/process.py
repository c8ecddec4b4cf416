"""What a process remembers, for tests that want to be another one. The one place that knows how."""

from __future__ import annotations

from django_jwtsession.backends.process import written
from django_jwtsession.devices.places import sightings
from django_jwtsession.revocation import feed


def another_process() -> None:
    """Be a process that has written no session, but knows the feed (it would read it now)."""
    written.forget()
    sightings.forget()


def new_process() -> None:
    """Be a process that has just begun and has not read the feed yet."""
    another_process()
    feed.forget()
