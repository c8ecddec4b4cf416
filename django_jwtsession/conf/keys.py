"""Whether the site's keys are fit to be used; nothing here shows a part of one."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured

from ..exceptions import BadKey
from ..tokens.keys import read_pem
from .config import Config

SHORTEST_SECRET = 32  # bytes


def secrets(config: Config) -> Iterator[tuple[int, bytes]]:
    """Yield each secret among the keys with its number, from 1; PEM keys are left out."""
    for number, source in enumerate(config.key_sources, 1):
        try:
            if read_pem(source) is None:  # so it is no Path
                yield number, source.encode() if isinstance(source, str) else bytes(source)
        except (BadKey, UnicodeEncodeError):
            continue  # building the codec says so


def short_keys(config: Config) -> list[str]:
    """Return which secrets are under 32 bytes; never a part of one."""
    where = 'JWTSESSION["KEYS"]' if config.keys else "SECRET_KEY and SECRET_KEY_FALLBACKS"
    return [
        f"Key {number} of {where} is under 32 bytes."
        for number, secret in secrets(config)
        if len(secret) < SHORTEST_SECRET
    ]


def unusable_keys(config: Config) -> list[str]:
    """Return why no token can be made with the keys; never a part of one."""
    try:
        config.codec  # noqa: B018
    except ImproperlyConfigured as error:
        return [str(error)]
    return []


def require_keys(config: Config, allow_short: bool) -> None:
    """Raise ImproperlyConfigured if no server should start with the site's keys.

    Arguments: `allow_short` lets secrets of under 32 bytes pass, as while developing.
    """
    for problem in unusable_keys(config) + ([] if allow_short else short_keys(config)):
        raise ImproperlyConfigured(f"{problem} `manage.py check` says what to write.")
