"""How processes reach PostgreSQL, and what kinds of them: a short mixed load for each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from . import postgresql
from .front import pgbouncer
from .load import Visitors
from .processes import needs_cluster
from .record import Record
from .sites import SECONDS, logs, prove, serve

needs_cluster("postgres", "pgbouncer")
for package in ("psycopg_pool", "gevent"):
    pytest.importorskip(package)

SEED = 15
TIMES = {"connect_timeout": 2}
ALL = ("gthread", "gevent", "uvicorn", "preload")
# Under gevent and ASGI each request may have a thread of its own, and Django would never close its
# connection: CONN_MAX_AGE has to be 0 there.
THREADS = ("gthread", "preload", "gthread-2")
POOL = {"min_size": 1, "max_size": 4, "timeout": 5}

WAYS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "`CONN_MAX_AGE` 0": ({"CONN_MAX_AGE": 0, "OPTIONS": TIMES}, ALL),
    "`CONN_MAX_AGE` None with health checks": (
        {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True, "OPTIONS": TIMES},
        THREADS,
    ),
    "psycopg's pool": ({"CONN_MAX_AGE": 0, "OPTIONS": {"pool": POOL, **TIMES}}, ALL),
}


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.primary() as server:
        yield server


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("through", ["PgBouncer", "nothing"])
def test_promises_hold(server: postgresql.Server, through: str, way: str, tmp_path: Path) -> None:
    """A process of each kind, all of them visited by everybody."""
    record, (more, kinds) = Record(), WAYS[way]
    front = pgbouncer(server.port) if through == "PgBouncer" else nullcontext(server.port)
    with front as port:
        databases = [postgresql.at(port)] * len(kinds)
        more = more | {"DISABLE_SERVER_SIDE_CURSORS": through == "PgBouncer"}
        # All that has ended is read before the workers of --preload are forked.
        with serve(databases, tmp_path, "hybrid", kinds, more=more, SITE_LOAD="1") as servers:
            with Visitors(servers, record, SEED, 6) as visitors:
                time.sleep(SECONDS / 2)
            visitors.look_at_all()
            assert not visitors.broken, logs(servers)
            before = "PostgreSQL" + (", PgBouncer" if through == "PgBouncer" else "")
            prove(f"{before}; {', '.join(kinds)}; {way}", record, server.database)
            assert len(record.writes) > 50, logs(servers)
