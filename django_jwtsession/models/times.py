"""Unix times, which the engines count in, and the datetimes of tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone


def to_datetime(at: float) -> datetime:
    """Return a Unix time as the site's datetimes are: aware, or naive where USE_TZ is off."""
    return datetime.fromtimestamp(at, UTC if settings.USE_TZ else None)


def as_of_today(at: datetime | str) -> datetime:
    """Return a datetime as the site's are now, whatever USE_TZ was when it was stored."""
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if timezone.is_aware(at) == bool(settings.USE_TZ):
        return at
    zone = timezone.get_default_timezone()
    return timezone.make_aware(at, zone) if settings.USE_TZ else timezone.make_naive(at, zone)


class UnixNow(models.Func):
    """Seconds since 1970 in UTC by the database's own clock, whatever time zone it is set to."""

    template = "%(function)s"
    output_field = models.FloatField()

    def as_postgresql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return "EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())::float8", ()

    def as_mysql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6)", ()

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return "((JULIANDAY('now') - 2440587.5) * 86400.0)", ()

    def as_oracle(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return "((CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE '1970-01-01') * 86400)", ()
