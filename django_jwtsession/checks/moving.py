"""MIGRATE_FROM and MIGRATE_TO: whether there are engines of these names, and others than ours."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured

from .. import conf
from ..backends.base import TokenSession
from ..contrib.migrate import ironsession
from ..moving.engines import Engine, engine_of
from ..moving.readers import Reader
from ..moving.sources import source_of
from . import engine
from .table import Check, when
from .values import if_config

_INSTALL = "Is its app in INSTALLED_APPS?"


def _from_problems() -> Iterator[str]:
    try:
        entries = conf.get_config().old_engines
    except ImproperlyConfigured:  # which has a message of its own
        return
    for entry in entries:
        try:
            source = source_of(entry)
        except ImproperlyConfigured as error:
            yield str(error)
        except RuntimeError:  # a model of no app
            yield f'JWTSESSION["MIGRATE_FROM"]: {entry.engine!r} has no table here. {_INSTALL}'
        else:
            if isinstance(source, Engine) and issubclass(source.store, TokenSession):
                yield (
                    f'JWTSESSION["MIGRATE_FROM"]: {entry.engine!r} is an engine of'
                    " django_jwtsession. These move among themselves with no setting."
                )
            if (
                isinstance(source, Reader)
                and entry.engine == ironsession.__name__
                and (entry.cookie is None)
            ):
                yield (
                    'JWTSESSION["MIGRATE_FROM"]: name the cookie of iron-session, {"engine":'
                    f' "{entry.engine}", "cookie": .., "secret": ..}}.'
                )


def _to_problems() -> Iterator[str]:
    try:
        path = conf.get_config().migrate_to
    except ImproperlyConfigured:
        return
    if path is None:
        return
    try:
        found = engine_of(path).store
    except (ImportError, AttributeError):
        yield f'JWTSESSION["MIGRATE_TO"] is {path!r}, which is no session engine.'
    except RuntimeError:
        yield f'JWTSESSION["MIGRATE_TO"]: {path!r} has no table here. {_INSTALL}'
    else:
        if issubclass(found, TokenSession):
            yield (
                f'JWTSESSION["MIGRATE_TO"]: {path!r} is an engine of django_jwtsession. Write it as'
                " SESSION_ENGINE."
            )


def _has_engine_of_others(config: conf.Config) -> bool:
    is_in = config.migrate_from is not None and config.migrate_to is None
    return is_in and engine.store() is not None and not engine.is_ours()


def _has_share_of_nothing(config: conf.Config) -> bool:
    return config.migrate_share < 1 and not config.moves


ALWAYS = (
    Check("E012", _from_problems),
    Check("E013", _to_problems),
    Check(
        "E014",
        when(
            if_config(_has_engine_of_others),
            'JWTSESSION["MIGRATE_FROM"] moves nothing: SESSION_ENGINE is no engine of'
            " django_jwtsession.",
        ),
        f"Write SESSION_ENGINE = one of {', '.join(map(repr, engine.ENGINES))}.",
    ),
    Check(
        "W028",
        when(
            if_config(_has_share_of_nothing),
            'JWTSESSION["MIGRATE_SHARE"] is a share of nothing: there is no MIGRATE_FROM, and no'
            " MIGRATE_TO.",
        ),
        "Write one of them, or take MIGRATE_SHARE out.",
    ),
)
