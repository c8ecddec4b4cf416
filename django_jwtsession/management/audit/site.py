"""What is known of the site: its engine, its settings, its pages, and what its database shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import DatabaseError
from django.urls import get_resolver, reverse
from django.utils.module_loading import import_string

from ... import conf
from ...checks import engine
from ...history.names import may_log_in
from ...models.registry import session_model
from ...pages.stepup import Wanted, wanted_by
from ...revocation.reader import table

_DJANGO = "django.contrib.sessions.backends."
# The sessions of so many deactivated users are looked for.
_USERS_LOOKED_AT = 1000


@dataclass(frozen=True)
class Site:
    """What the requirements are asked of.

    `engine` is "cookie", "db", "hybrid", "signed_cookies", "django" (its others), "other" or
    "none". `trouble` says why JWTSESSION cannot be used, "" if it can; `database` why the tables
    cannot be read. `left_over` is how many sessions of deactivated users can still be used.
    """

    engine: str
    engine_path: str
    config: conf.Config = field(repr=False)
    trouble: str
    database: str
    left_over: int
    has_middleware: bool

    @property
    def is_ours(self) -> bool:
        """Tell whether the engine is one of this package, or derives from one."""
        return self.engine in ("cookie", "db", "hybrid")

    @property
    def troubled_setting(self) -> str:
        """The setting that `trouble` is about."""
        named = re.match(r'JWTSESSION\["\w+"\]|[A-Z_]+', self.trouble)
        return named[0] if named else "JWTSESSION"

    @property
    def keys_setting(self) -> str:
        """Where the keys come from."""
        return 'JWTSESSION["KEYS"]' if self.config.keys else "SECRET_KEY"

    @property
    def has_public_keys(self) -> bool:
        """Tell whether others can read tokens by a public key."""
        return bool(self.config.codec.keys.jwks["keys"])


def look() -> Site:
    """Look at the settings, the URLconf and the database of now; nothing is written."""
    config, trouble = _config()
    kind = _engine()
    ours = kind in ("cookie", "db", "hybrid")
    database, left_over = _database(kind) if ours and not trouble else ("", 0)
    return Site(
        engine=kind,
        engine_path=str(settings.SESSION_ENGINE),
        config=config,
        trouble=trouble,
        database=database,
        left_over=left_over,
        has_middleware=_has_middleware(),
    )


def _config() -> tuple[conf.Config, str]:
    try:
        config = conf.get_config()
        config.codec  # noqa: B018  # raises where the keys cannot be used
    except ImproperlyConfigured as error:
        return conf.Config(), str(error)
    return config, ""


def _engine() -> str:
    if engine.store() is None:
        return "none"
    if engine.is_ours():
        if engine.is_cookie():
            return "cookie"
        return "hybrid" if engine.has_data_in_cookie() else "db"
    path = str(settings.SESSION_ENGINE)
    if path == f"{_DJANGO}signed_cookies":
        return "signed_cookies"
    return "django" if path.startswith(_DJANGO) else "other"


def _has_middleware() -> bool:
    return any(
        isinstance(found, type) and issubclass(found, SessionMiddleware)
        for found in _imported(settings.MIDDLEWARE)
    )


def _imported(paths: Iterable[str]) -> Iterator[Any]:
    for path in paths:
        try:
            yield import_string(path)
        except ImportError:
            continue  # Django's own check says so


# --- the database --------------------------------------------------------------------------------


def _database(kind: str) -> tuple[str, int]:
    """Return why the tables cannot be read, and how many sessions deactivated users have left."""
    try:
        table().exists()
        return "", 0 if kind == "cookie" else _left_over()
    except (DatabaseError, ImproperlyConfigured) as error:
        return str(error).partition("\n")[0], 0


def accepts_inactive() -> bool:
    """Tell whether a backend logs users in who are not active, if the user model knows of that."""
    user: Any = get_user_model()()
    if not _has_active_flag():
        return False
    user.is_active = False
    return may_log_in(user)


def _has_active_flag() -> bool:
    try:
        get_user_model()._meta.get_field("is_active")
    except FieldDoesNotExist:
        return False
    return True


def _left_over() -> int:
    if not _has_active_flag():
        return 0
    gone = get_user_model()._default_manager.filter(is_active=False).order_by("-pk")
    # No join: users may live in another database.
    pks = list(gone.values_list("pk", flat=True)[:_USERS_LOOKED_AT])
    return int(session_model().objects.in_force().filter(user_id__in=pks).count())


# --- the URLconf ---------------------------------------------------------------------------------


def has_page(*names: str) -> bool:
    """Tell whether the URLconf has a page of one of these names."""
    return any(map(_exists, names))


def _exists(name: str) -> bool:
    try:
        reverse(name)
    except Exception:  # no such page; no URLconf, or one that cannot be loaded
        return False
    return True


def guarded_views() -> list[tuple[str, Wanted]]:
    """Return the site's own views that ask for a proof of identity, by the names of their URLs."""
    try:
        return sorted(_guarded(get_resolver().url_patterns), key=lambda found: found[0])
    except Exception:  # as above
        return []


def _guarded(patterns: Iterable[Any]) -> Iterator[tuple[str, Wanted]]:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _guarded(pattern.url_patterns)
            continue
        wanted = wanted_by(pattern.callback)
        is_ours = str(getattr(pattern.callback, "__module__", "")).startswith("django_jwtsession.")
        if wanted is not None and not is_ours:
            yield pattern.name or str(pattern.pattern), wanted
