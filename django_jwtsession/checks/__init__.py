"""What `manage.py check` says: tables of what can be wrong, each row with what to write instead."""

from __future__ import annotations

from typing import Any

from django.core import checks

from . import cookie, keys, login, moving, neighbours, values, wiring
from .table import Check

ALWAYS: tuple[Check, ...] = (
    *values.ALWAYS,
    *keys.ALWAYS,
    *wiring.ALWAYS,
    *login.ALWAYS,
    *cookie.ALWAYS,
    *neighbours.ALWAYS,
    *moving.ALWAYS,
)
DEPLOY: tuple[Check, ...] = (*values.DEPLOY, *keys.DEPLOY, *cookie.DEPLOY)


@checks.register(checks.Tags.security)
def check_settings(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check the settings that every site has."""
    return [message for check in ALWAYS for message in check.run()]


@checks.register(checks.Tags.security, deploy=True)
def check_deployment(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check what matters where real visitors come: ``manage.py check --deploy``."""
    return [message for check in DEPLOY for message in check.run()]
