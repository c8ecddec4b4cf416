"""Times as people say them: "3 days ago", "in 2 hours"."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import npgettext_lazy, pgettext

# Django's own units are those of a duration ("3 Tage"); after "vor" and "in" German has another
# case ("vor 3 Tagen"), and so have other languages.
_UNITS: dict[str, Any] = {
    "year": npgettext_lazy("ago or in", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("ago or in", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("ago or in", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("ago or in", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("ago or in", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("ago or in", "%(num)d minute", "%(num)d minutes", "num"),
}


def ago(at: datetime) -> str:
    """Return the time since `at` in its largest unit."""
    if (timezone.now() - at).total_seconds() < 60:
        return pgettext("ago", "just now")
    return pgettext("sessions", "%(time)s ago") % {
        "time": timesince(at, time_strings=_UNITS, depth=1)
    }


def ahead(at: datetime) -> str:
    """Return the time until `at` in its largest unit."""
    return pgettext("sessions", "in %(time)s") % {
        "time": timeuntil(at, time_strings=_UNITS, depth=1)
    }
