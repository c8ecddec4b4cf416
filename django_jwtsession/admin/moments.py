"""Times in the admin: in words with the exact one behind them, which names its time zone."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html


def exactly(at: datetime) -> str:
    """Return date and time with the name of the zone: "Nov. 20, 2026, 8:30 a.m. UTC"."""
    if timezone.is_naive(at):  # USE_TZ is off: there is one zone, and everybody knows it
        return date_format(at, "DATETIME_FORMAT")
    local = timezone.localtime(at)
    return f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname()}"


def moment(at: datetime | None, words: str = "") -> str:
    """Return the element for a time: `words` such as "2 hours ago", else the exact time.

    Those who point at the words see the exact time.
    """
    if at is None:
        return ""
    exact = exactly(at)
    if not words:
        return format_html('<time datetime="{}">{}</time>', at.isoformat(), exact)
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, words)
