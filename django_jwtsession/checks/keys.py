"""Secrets and PEM keys: whether they can be used, and how easily they are guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from .. import conf
from ..conf import in_test_environment
from .table import Check, Problems

# 32 random bytes have some 30 different ones, their hexadecimal digits 14 to 16.
_FEWEST_CHARACTERS = 10
_MAKE_ONE = "Make one with `manage.py jwtsession keygen` or `openssl rand -base64 32`."


def _of_config(find: Callable[[conf.Config], list[str]]) -> Problems:
    """Ask `find` of the site's configuration; a broken one has problems of its own."""

    def problems() -> list[str]:
        try:
            return find(conf.get_config())
        except ImproperlyConfigured:
            return []

    return problems


def _may_be_short() -> bool:
    """Tell whether a short secret is only warned of: while developing, and in tests."""
    return settings.DEBUG or in_test_environment()


def _short(wanted: bool) -> Problems:
    return _of_config(lambda c: conf.short_keys(c) if _may_be_short() is wanted else [])


def _secrets(config: conf.Config) -> Iterator[tuple[str, bytes]]:
    """Yield each secret of KEYS under the name that messages give it."""
    for number, secret in conf.secrets(config):
        yield f'Key {number} of JWTSESSION["KEYS"]', secret


def _untidy(config: conf.Config) -> list[str]:
    """Return which secrets have white space around them, as from a file that was read whole."""
    if not config.keys:
        return []
    return [
        f"{name} begins or ends with white space, which is a part of the secret. Write .strip()"
        " after it, or other systems that share the key may not find the same one."
        for name, secret in _secrets(config)
        if secret != secret.strip()
    ]


def is_guessable(secret: bytes) -> bool:
    """Tell whether a secret of any length is one that nobody drew by lot."""
    is_repeated = secret in (secret + secret)[1:-1]
    few = len(set(secret)) < _FEWEST_CHARACTERS
    return is_repeated or few or secret.startswith(b"django-insecure-")


def _guessable(config: conf.Config) -> list[str]:
    if not config.keys:  # Django's own check looks at SECRET_KEY
        return []
    return [
        f"{name} is easily guessed: it repeats itself, has few different characters or begins"
        " with 'django-insecure-'."
        for name, secret in _secrets(config)
        if is_guessable(secret)
    ]


ALWAYS = (
    Check("E002", _of_config(conf.unusable_keys)),
    Check("E008", _short(False), _MAKE_ONE),
    Check("W008", _short(True), _MAKE_ONE),
    Check("W009", _of_config(_untidy)),
)

DEPLOY = (
    Check("E009", _short(True), _MAKE_ONE),
    Check("W017", _of_config(_guessable), _MAKE_ONE),
)
