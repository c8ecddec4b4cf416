"""The site of tests/services on the databases of a cluster."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import ENGINES
from tests.services.servers import Database, Server, site_env

from .record import Record, problems, summary
from .report import kinds

# How long a load lasts: CLUSTER_SECONDS=60 make test-cluster.
SECONDS = float(os.environ.get("CLUSTER_SECONDS", "10"))
POLL = 1.0
# What is known of a poll in time, on a machine with other work to do.
SLACK = 1.0
# Short windows, so that a run sees many of them.
SETTINGS: dict[str, Any] = {
    "REVALIDATE_AFTER": 4,
    "STALE_IF_ERROR": 6,
    "ROTATE_AFTER": 15,
    "ROTATE_GRACE": 10,
}


@contextlib.contextmanager
def serve(
    databases: list[Database],
    folder: Path,
    engine: str,
    kinds: tuple[str, ...] = ("gthread",),
    jwtsession: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    **variables: str,
) -> Iterator[list[Server]]:
    """Serve the site from one process for each database, of each of `kinds` in turn.

    Arguments: `more` goes into DATABASES["default"]; `variables` as site/settings.py reads them.
    """
    folder.mkdir(exist_ok=True)
    servers: list[Server] = []
    variables["SITE_DATABASE_MORE"] = json.dumps(more or {})
    try:
        for number, database in enumerate(databases):
            path = ENGINES.get(engine, engine)
            env = site_env(database, path, SETTINGS | (jwtsession or {}), folder)
            log = folder / f"{number}.log"
            servers.append(Server(kinds[number % len(kinds)], env | variables, log))
        for server in servers:
            server.ready()
        yield servers
    finally:
        for server in servers:
            server.stop()


def logs(servers: list[Server]) -> str:
    return "\n".join(server.log()[-2000:] for server in servers)


def thefts(database: Database) -> int:
    """Return how often somebody was taken for a thief."""
    table = "django_jwtsession_sessionevent"
    return int(database.sql(f"SELECT COUNT(*) FROM {table} WHERE kind = 'token_reuse'")[0][0])


def prove(
    name: str,
    record: Record,
    database: Database,
    hold: float = 0.0,
    known_within: float = POLL + SLACK,
) -> None:
    """Hold a run against the promises, and say its numbers; CLUSTER_REPORT is a file for them."""
    record.thefts = thefts(database)
    found = problems(record, known_within, hold)
    line = json.dumps({"run": name, **summary(record), "breaches": kinds(found)})
    print(f"\n{line}")
    if report := os.environ.get("CLUSTER_REPORT"):
        with Path(report).open("a") as out:
            out.write(line + "\n")
    assert not found, "\n".join(found[:20])
