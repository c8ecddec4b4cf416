"""Slows down whoever tries passwords on the pages, by user and address, with Django's cache.

A few tries are free; each further one waits twice as long, five minutes at most. Nobody is ever
locked out: who holds a stolen cookie must not be able to do that to its owner.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import replace

from django.core.cache import cache
from django.http import HttpRequest

from ..conf import get_config
from ..devices.clients import ip_address

logger = logging.getLogger("django_jwtsession")

# Wrong tries of one user that cost nothing: from one address, and from all of them.
FREE_AT_ADDRESS = 4
FREE = 19
LONGEST = 300
_REMEMBERED = 3600
prefix = "django_jwtsession.tries."


def wait(request: HttpRequest) -> int:
    """Count a try, and return for how many seconds it has to wait; 0: it may go on.

    While the cache is out of reach, all may.
    """
    try:
        return next((seconds for key, free in _keys(request) if (seconds := _try(key, free))), 0)
    except Exception as error:  # each cache has exceptions of its own
        logger.warning("Wrong passwords are not counted: no cache (%s).", type(error).__name__)
        return 0


def forget(request: HttpRequest) -> None:
    """Forget the tries of a user who has proved to be it."""
    try:
        cache.delete_many([name for key, _ in _keys(request) for name in (key, _slot(key))])
    except Exception as error:
        logger.warning("Wrong passwords are not counted: no cache (%s).", type(error).__name__)


def is_too_often(name: str, most: int, seconds: int) -> bool:
    """Count what is done under a name; tell whether it was more than `most` times in `seconds`."""
    key = _key(name)
    try:
        cache.add(key, 0, seconds)
        return bool(cache.incr(key) > most)
    except Exception as error:
        logger.warning(
            "What is done too often is not counted: no cache (%s).", type(error).__name__
        )
        return False


def _try(key: str, free: int) -> int:
    cache.add(key, 0, _REMEMBERED)
    beyond: int = cache.incr(key) - free
    if beyond <= 0:
        return 0
    # Whoever gets the slot may try; parallel requests get one try among them.
    now, seconds = time.time(), min(2**beyond, LONGEST)
    if cache.add(_slot(key), now + seconds, seconds):
        return 0
    cache.decr(key)
    until: float = cache.get(_slot(key), now)
    # Of another server, whose clock may differ.
    left: int = min(seconds, max(1, math.ceil(until - now)))
    return left


def _keys(request: HttpRequest) -> Iterator[tuple[str, int]]:
    user = str(request.user.pk)
    address = ip_address(request.META, replace(get_config(), store_ip=True))
    yield _key(user, address or ""), FREE_AT_ADDRESS
    yield _key(user), FREE


def _key(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return f"{prefix}{digest}"


def _slot(key: str) -> str:
    return f"{key}.slot"
