"""The setting ``DBSC``: a dict; none is a good one.

`MODE`: what a bound session opens without a fresh proof, all ("proof") or nothing ("strict").
`MAX_AGE`: the seconds (or timedelta) for which a proof is good. `REQUIRE`: the dotted path of a
function of the request that tells whether its view needs a proof.
"""

from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

DEFAULTS = {"MODE": "proof", "MAX_AGE": 600, "REQUIRE": None}


@cache
def setting(name: str) -> Any:
    """Return a value of ``DBSC``; ages in seconds."""
    value = getattr(settings, "DBSC", DEFAULTS).get(name, DEFAULTS[name])
    return value.total_seconds() if isinstance(value, timedelta) else value


setting_changed.connect(lambda **_: setting.cache_clear(), weak=False)


def problems() -> list[str]:
    """Return what is wrong with ``DBSC``, each with what to write instead."""
    given = getattr(settings, "DBSC", {})
    if not isinstance(given, dict) or given.keys() - DEFAULTS.keys():
        return [f"DBSC must be a dict with some of the keys {', '.join(DEFAULTS)}, or none."]
    found = []
    if setting("MODE") not in ("proof", "strict"):
        found.append('DBSC["MODE"] must be "proof" or "strict".')
    if type(setting("MAX_AGE")) not in (int, float) or setting("MAX_AGE") < 1:
        found.append('DBSC["MAX_AGE"] must be seconds or a timedelta, 300 at least, such as 600.')
    try:
        assert setting("REQUIRE") is None or callable(import_string(setting("REQUIRE")))
    except (AssertionError, AttributeError, ImportError):
        found.append('DBSC["REQUIRE"] must be None or the path of a function of the request.')
    return found
