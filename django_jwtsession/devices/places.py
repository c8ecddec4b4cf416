"""On which devices and at which addresses this process has seen each session.

One that is new here is looked up in the history, which has those that other processes have seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..conf import Config
from ..tokens.bounded import Recent

_SESSIONS = 2048
# Of one session: a phone on the move must not ask the database with each request.
_MOST = 50


class Sightings(Recent[set[int]]):
    """Hashes of user agent and address, by sid."""

    def is_new(self, sid: str, environ: Mapping[str, Any], config: Config) -> bool:
        """Tell whether this process knows the session, and never saw it where it is used now."""
        sender = environ.get("REMOTE_ADDR") if config.store_ip else None
        forwarded = sender and config.trusted_proxy_count and environ.get("HTTP_X_FORWARDED_FOR")
        here = hash((environ.get("HTTP_USER_AGENT"), sender, forwarded))
        seen = self.get(sid) or self.older(sid)
        if seen is None:
            self.keep(sid, {here})
            return False
        if here in seen or len(seen) >= _MOST:
            return False
        # Now, and not once it is written: where that fails, it is not tried with each request.
        seen.add(here)
        return True


sightings = Sightings(_SESSIONS)
