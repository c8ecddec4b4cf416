"""``jwtsession status``: whether ends of sessions reach the processes."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass

from ...conf import get_config
from ...models.place import current_alias, current_place
from ...revocation.feed import Feed
from ...revocation.reader import clock_of_database


@dataclass(frozen=True)
class Status:
    """What a new process finds; times in seconds. `clock` is the database's, less this one's."""

    database: str
    poll: float | None
    entries: int
    newest: float | None  # how long ago the newest line was made, by the database's clock
    load: float  # how long it took to read all
    clock: float
    cache: str | None
    cache_age: float | None  # since when the processes have heard from the one that asks for all

    @property
    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        found = []
        if self.poll is None:
            found.append("The feed is off (REVOCATION_POLL): ended sessions go on elsewhere.")
        if self.cache is not None and self.cache_age is None:
            found.append("REVOCATION_CACHE: no process has asked for all; is it the right cache?")
        return found


def status() -> Status:
    """Read the feed as a process does that starts. Raises DatabaseError where that fails."""
    config, feed = get_config(), Feed(current_place())
    started = time.monotonic()
    feed.load()
    took = time.monotonic() - started
    now = clock_of_database()
    made_at = feed.newest_made_at()
    return Status(
        database=current_alias(),
        poll=config.revocation_poll,
        entries=feed.count(),
        newest=None if made_at is None else round(now - made_at, 3),
        load=round(took, 3),
        clock=round(now - time.time(), 3),
        cache=config.revocation_cache,
        cache_age=feed.cache_age() if config.revocation_cache else None,
    )


def as_json(found: Status) -> str:
    return json.dumps(asdict(found) | {"problems": found.problems})


def as_text(found: Status) -> str:
    lines = [
        f"Feed: {found.entries} entries of database {found.database!r}, read in {found.load} s."
    ]
    if found.newest is not None:
        lines.append(f"The newest was made {found.newest} s ago.")
    lines.append(f"The database's clock is {found.clock:+} s beside this machine's.")
    if found.cache_age is not None:
        lines.append(f"Through the cache {found.cache!r} processes heard {found.cache_age} s ago.")
    return "\n".join([*lines, *(found.problems or ["All is well."])])
