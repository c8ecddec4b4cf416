"""The values of ``JWTSESSION`` and of Django's SESSION_*, and what contradicts itself in them."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

from .. import conf
from ..models.tables import Revocation
from . import engine
from .table import Check, when

# Of 0 to 1: "JWT_SESSION" is like "JWTSESSION" by 0.95, "JWT_AUTH" by 0.67.
_ALIKE = 0.85


def _setting_problems() -> list[str]:
    return conf.problems(getattr(settings, "JWTSESSION", {}))


def _names_like_ours() -> list[str]:
    """Return what is wrong with settings whose names are nearly ``JWTSESSION``."""
    names = [name for name in dir(settings) if name.isupper() and name != "JWTSESSION"]
    return [
        f"{name} is no setting. Write JWTSESSION in its place."
        for name in get_close_matches("JWTSESSION", names, n=3, cutoff=_ALIKE)
    ]


def if_config(is_wrong: Callable[[conf.Config], bool]) -> Callable[[], bool]:
    """Ask `is_wrong` of the site's configuration; a broken one has problems of its own."""

    def ask() -> bool:
        try:
            return is_wrong(conf.get_config())
        except ImproperlyConfigured:
            return False

    return ask


def _is_idle_longer_than_absolute(config: conf.Config) -> bool:
    return config.absolute_age < float(settings.SESSION_COOKIE_AGE)


def _is_grace_longer_than_rotation(config: conf.Config) -> bool:
    return config.rotate_after is not None and config.rotate_grace > config.rotate_after


def _is_stale_longer_than_grace(config: conf.Config) -> bool:
    """Tell whether a copy that is trusted in an outage may be older than the grace allows."""
    if config.rotate_after is None:
        return False
    return config.stale_if_error > config.rotate_grace - config.revalidate_after


def _is_cookie_without_feed(config: conf.Config) -> bool:
    return config.revocation_poll is None and engine.is_cookie()


def _policy_problems() -> list[str]:
    """Return why the function that POLICY names cannot be asked."""
    try:
        config = conf.get_config()
    except ImproperlyConfigured:  # which has a message of its own
        return []
    try:
        if config.policy is not None:
            config.policy_function  # noqa: B018
    except ImproperlyConfigured as error:
        return [str(error)]
    return []


def _hasty_timeouts() -> list[str]:
    """Return which time limit of the database is missing or no shorter than STALE_IF_ERROR."""
    alias = router.db_for_write(Revocation)
    options: dict[str, Any] = connections[alias].settings_dict.get("OPTIONS") or {}
    names = {"connect_timeout": options.get("connect_timeout")}
    if pool := options.get("pool"):
        names['pool["timeout"]'] = pool.get("timeout") if isinstance(pool, dict) else None
    return [
        f"While the database {alias!r} hangs, every page may wait for it longer than"
        f' JWTSESSION["STALE_IF_ERROR"]: OPTIONS {name} is {value or "not set"}.'
        for name, value in names.items()
        if not value or float(value) >= conf.get_config().stale_if_error
    ]


def _timeouts() -> list[str]:
    try:
        vendor = connections[router.db_for_write(Revocation)].vendor
        if vendor in ("postgresql", "mysql") and engine.is_ours():
            return _hasty_timeouts()
    except (ImproperlyConfigured, TypeError, ValueError):  # the database's own check says so
        pass
    return []


ALWAYS = (
    Check("E001", _setting_problems),
    Check("E003", conf.age_problems),
    Check("E011", _policy_problems),
    Check("W007", _names_like_ours),
    Check(
        "W003",
        when(
            if_config(_is_idle_longer_than_absolute),
            "SESSION_COOKIE_AGE is longer than a login may last at all.",
        ),
        'Raise JWTSESSION["ABSOLUTE_AGE"] (90 days by default) above it, or lower it.',
    ),
    Check(
        "W020",
        when(
            if_config(_is_grace_longer_than_rotation),
            'JWTSESSION["ROTATE_GRACE"] is longer than ROTATE_AFTER: the cookie before the last is'
            " accepted until the next is due, so that copies are found late or never.",
        ),
        "Write a ROTATE_GRACE that is shorter, such as 300 beside a ROTATE_AFTER of 3600.",
    ),
    Check(
        "W021",
        when(
            if_config(_is_stale_longer_than_grace),
            'JWTSESSION["STALE_IF_ERROR"] is longer than ROTATE_GRACE less REVALIDATE_AFTER: after'
            " an outage honest browsers may be taken for thieves.",
        ),
        "Lower STALE_IF_ERROR (60 by default), or raise ROTATE_GRACE (300 by default).",
    ),
    Check(
        "W022",
        when(
            if_config(_is_cookie_without_feed),
            'JWTSESSION["REVOCATION_POLL"] is None: a copy of a cookie works after the logout until'
            " it expires, and nobody can end a session.",
        ),
        "Write seconds, such as 1.0, or choose the engine 'django_jwtsession.backends.db'.",
    ),
)

DEPLOY = (
    Check(
        "W018",
        _timeouts,
        'Write seconds, such as "connect_timeout": 5, into OPTIONS of the database.',
    ),
)
