"""The cache that REVOCATION_CACHE names, as one site and place use it. It may fail, or hang."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from time import monotonic
from typing import Any

from django.core.cache import caches
from django.db import connections
from django.utils.crypto import salted_hmac

from ..conf import get_config
from ..models.place import current_alias

logger = logging.getLogger("django_jwtsession")

# Seconds for which a cache that failed is left alone.
_REST = 30.0


class SharedCache:
    """The keys of one place; it is left alone for a while after it has failed."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._rests_until = float("-inf")
        self._called_at: float | None = None
        self._is_out = False

    def call(self, method: str, name: str, *arguments: Any) -> Any:
        """Call a method of the cache with the key of a name. Raises whatever its client does."""
        cache = caches[get_config().revocation_cache or "default"]
        self._called_at = monotonic()
        try:
            answer = getattr(cache, method)(self._key(name), *arguments)
        finally:
            self._called_at = None
        if self._is_out and not self.rests():
            logger.warning("JWTSESSION REVOCATION_CACHE can be used again.")
            self._is_out = False
        return answer

    def quietly(self, method: str, name: str, *arguments: Any) -> Any:
        """See call(); None while the cache cannot be used."""
        return self.attempt(lambda: self.call(method, name, *arguments))

    def attempt(self, work: Callable[[], Any]) -> Any:
        """Return what `work` does with the cache, None while that cannot be used."""
        if self.rests():
            return None
        try:
            return work()
        except Exception:  # each cache's client has errors of its own
            self.rest()
            return None

    def rest(self) -> None:
        """Leave it alone for a while; the exception that is being handled is logged, once."""
        self._rests_until = monotonic() + _REST
        if not self._is_out:
            logger.warning(
                "JWTSESSION REVOCATION_CACHE cannot be used: the database is asked.", exc_info=True
            )
        self._is_out = True

    def rests(self) -> bool:
        """Tell whether it has failed a moment ago."""
        return monotonic() < self._rests_until

    def hangs(self, patience: float) -> bool:
        """Tell whether a thread waits for it longer than that (seconds): it is left alone then."""
        called_at = self._called_at
        if called_at is None or monotonic() < called_at + patience:
            return False
        self._rests_until = monotonic() + _REST
        return True

    def _key(self, name: str) -> str:
        return f"django_jwtsession:feed:{self._site}:{self._place}:{name}"

    @cached_property
    def _site(self) -> str:
        """What tells a site's keys from those of others that share the cache.

        Servers that know the database by different names ask it once for each name.
        """
        database = connections[current_alias()].settings_dict
        where = "|".join(str(database.get(part)) for part in ("HOST", "PORT", "NAME"))
        return salted_hmac("django_jwtsession.feed", where, algorithm="sha256").hexdigest()[:12]
