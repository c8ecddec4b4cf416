"""gunicorn --preload: the feed is read once, before the workers are forked."""

from __future__ import annotations

import time
from pathlib import Path

from tests.conftest import ENGINES

from .servers import Database, Server, serve, until


def workers(server: Server, count: int) -> dict[int, tuple[bool, int]]:
    """Return what each worker process knows, by its pid."""
    found: dict[int, tuple[bool, int]] = {}

    def enough() -> bool:
        answer = server.get("feed").json
        found[answer["pid"]] = answer["complete"], answer["entries"]
        return len(found) == count

    until(enough)
    return found


def test_workers_know_what_was_loaded_before_they_were_forked(
    site_database: Database, tmp_path: Path
) -> None:
    now = time.time()
    site_database.sql(
        "INSERT INTO django_jwtsession_revocation"
        " (kind, name, keep_sid, reason, created_at, expires_at)"
        " VALUES ('s', 'before', '', '', %s, %s)",
        now - 60,
        now + 3600,
    )
    known = {}
    for load in ("0", "1"):
        site = serve(
            site_database, tmp_path / load, ENGINES["hybrid"], kinds=("preload",), SITE_LOAD=load
        )
        with site as served:
            known[load] = set(workers(served.servers[0], 2).values())
    assert known["0"] == {(False, 0)}
    assert {complete for complete, _ in known["1"]} == {True}
    assert min(entries for _, entries in known["1"]) >= 1
