"""What MIGRATE_FROM names: session engines, and readers of cookies that others have made."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from ..conf import Config, get_config
from ..conf.moving import OldEngine
from .engines import Engine
from .readers import Reader

Source = Engine | Reader


def sources() -> tuple[Source, ...]:
    """Return what MIGRATE_FROM names. Raises ImproperlyConfigured for what is neither."""
    return _sources(_Same(get_config()))


class _Same:
    """A configuration, compared by identity: its secrets need no hash."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.config is self.config

    def __hash__(self) -> int:
        return id(self.config)


@lru_cache(1)
def _sources(same: _Same) -> tuple[Source, ...]:
    return tuple(source_of(old) for old in same.config.old_engines)


def source_of(old: OldEngine) -> Source:
    """Return what an entry of MIGRATE_FROM names. Raises ImproperlyConfigured for nothing."""
    try:
        module: Any = import_module(old.engine)
    except ImportError as error:
        raise ImproperlyConfigured(f'JWTSESSION["MIGRATE_FROM"]: {error}.') from None
    if hasattr(module, "SessionStore"):
        return Engine.of(old)
    if hasattr(module, "read") and hasattr(module, "COOKIES"):
        return Reader(old, module)
    raise ImproperlyConfigured(
        f'JWTSESSION["MIGRATE_FROM"]: {old.engine!r} is no session engine: it has no SessionStore.'
    )
