"""Unix times, which the engines count in, and the datetimes of tables."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings


def to_datetime(at: float) -> datetime:
    """Return a Unix time as the site's datetimes are: aware, or naive where USE_TZ is off."""
    return datetime.fromtimestamp(at, UTC if settings.USE_TZ else None)
