"""REVOCATION_CACHE in a Redis that is emptied, is full, hangs, dies and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import postgresql
from .front import redis
from .load import Visitors
from .processes import needs_cluster
from .record import Record
from .sites import POLL, SECONDS, SLACK, logs, prove, serve

needs_cluster("postgres", "redis-server")
pytest.importorskip("redis")
pytest.importorskip("psycopg")

SEED = 15
KNOWN_WITHIN = 2 * POLL + SLACK


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.primary() as server:
        yield server


def test_promises_hold_whatever_the_cache_does(server: postgresql.Server, tmp_path: Path) -> None:
    record = Record()
    with (
        redis() as cache,
        serve(
            [server.database] * 3,
            tmp_path,
            "hybrid",
            jwtsession={"REVOCATION_CACHE": "default"},
            REDIS_URL=cache.url,
        ) as servers,
    ):
        with Visitors(servers, record, SEED, 6, tried_for=KNOWN_WITHIN + 1.5) as visitors:
            time.sleep(SECONDS / 2)
            for trouble, end in (
                (cache.flush, cache.flush),
                (cache.fill, cache.free),
                (cache.hang, cache.go_on),
                (cache.kill, cache.start),
            ):
                trouble()
                time.sleep(SECONDS / 2)
                end()
                time.sleep(SECONDS / 5)
        visitors.look_at_all()
        assert not visitors.broken, logs(servers)
        prove(
            "PostgreSQL, `REVOCATION_CACHE` in a Redis that is emptied, is full, hangs and dies",
            record,
            server.database,
            known_within=KNOWN_WITHIN,
        )
        assert len(record.writes) > 100, logs(servers)
        for each in servers:
            assert each.log().count("REVOCATION_CACHE cannot be used") <= 4
