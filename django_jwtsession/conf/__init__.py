"""The ``JWTSESSION`` setting: one dict, every key checked, read once.

`get_config()` is what the rest of the package calls; checks/ turns `problems()` into messages.
"""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from .config import DAY, JSON_SERIALIZER, MAX_COOKIE_SIZE, Config
from .keys import require_keys, secrets, short_keys, unusable_keys
from .rules import RULES, age_problems, plain, problems

__all__ = [
    "DAY",
    "JSON_SERIALIZER",
    "MAX_COOKIE_SIZE",
    "RULES",
    "Config",
    "age_problems",
    "get_config",
    "in_test_environment",
    "problems",
    "require_keys",
    "secrets",
    "short_keys",
    "unusable_keys",
]

_config: Config | None = None


def get_config() -> Config:
    """Return the site's configuration, built at first use and again after a change of settings.

    Raises ImproperlyConfigured with the first problem.
    """
    return _config or _build()


def _build() -> Config:
    global _config
    given = getattr(settings, "JWTSESSION", {})
    if found := problems(given) + age_problems():
        raise ImproperlyConfigured(found[0])
    _config = Config(**{key.lower(): plain(value) for key, value in given.items()})
    return _config


def _forget(**kwargs: Any) -> None:
    global _config
    _config = None


setting_changed.connect(_forget, dispatch_uid="django_jwtsession.conf")


def in_test_environment() -> bool:
    """Tell whether Django's setup_test_environment() is in force, by the state that it keeps."""
    # Where nothing has imported the module nobody has called it; its import loads all of unittest.
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")
