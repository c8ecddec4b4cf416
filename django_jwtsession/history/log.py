"""What happens to sessions, for the site's log and its metrics: one record and one count an event.

The logger is `django_jwtsession.audit`; the fields of its records are documented and stay. Counters
go to OpenTelemetry where its API is installed. Neither needs the database: what the history could
not be told stands here all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..models.kinds import EventKind

if TYPE_CHECKING:
    from ..models.tables import SessionEvent

logger = logging.getLogger("django_jwtsession.audit")

# The `extra` of each record, in the order of docs/monitoring.md.
FIELDS = (
    "event",
    "sid",
    "user_id",
    "actor_id",
    "reason",
    "ip_address",
    "user_agent",
    "browser",
    "os",
    "device",
)
_WARNINGS = frozenset({EventKind.TOKEN_REUSE, EventKind.BINDING_FAILED, EventKind.LOGIN_FAILED})


def note(event: SessionEvent) -> None:
    """Log and count an event; it need not be in the history."""
    counters = _counters()
    if counters is not None:
        counters[0].add(1, {"event": str(event.kind)})
    level = logging.WARNING if event.kind in _WARNINGS else logging.INFO
    if logger.isEnabledFor(level):
        fields = _fields(event)
        logger.log(level, "Session event: %s", fields["event"], extra=fields)


def note_all(events: Iterable[SessionEvent]) -> None:
    """See note()."""
    for event in events:
        note(event)


def count_refusal(reason: str) -> None:
    """Count a token that was refused; its record is of another logger."""
    counters = _counters()
    if counters is not None:
        counters[1].add(1, {"reason": reason})


def _fields(event: SessionEvent) -> dict[str, Any]:
    return {
        "event": str(event.kind),
        "sid": event.sid,
        "user_id": _text(event.user_id),
        "actor_id": _text(event.actor_id),
        "reason": event.detail.get("reason", ""),
        "ip_address": event.ip_address,
        "user_agent": event.user_agent,
        "browser": event.browser,
        "os": event.os,
        "device": event.device,
    }


def _text(pk: Any) -> str | None:
    return None if pk is None else str(pk)


@cache
def _counters() -> tuple[Any, Any] | None:
    """Return the counters of events and of refusals, None without opentelemetry-api."""
    try:
        metrics = import_module("opentelemetry.metrics")
    except ImportError:
        return None
    meter = metrics.get_meter("django_jwtsession", __version__)
    return (
        meter.create_counter(
            "django_jwtsession.events", "{event}", "What happened to sessions, by event."
        ),
        meter.create_counter(
            "django_jwtsession.refusals", "{token}", "Tokens that were refused, by reason."
        ),
    )
