"""PostgreSQL: a standby that takes over, PgBouncer, pools, a server that hangs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.services.client import Jar

from . import postgresql
from .front import haproxy, redis
from .load import Visitors
from .processes import needs_cluster
from .record import Fault, Record
from .sites import SECONDS, SETTINGS, logs, prove, serve

needs_cluster("postgres", "haproxy", "redis-server")
pytest.importorskip("redis")
pytest.importorskip("psycopg")

SEED = 15
STALE = SETTINGS["STALE_IF_ERROR"]
TIMES = {"connect_timeout": 2}


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.primary() as server:
        yield server


@pytest.mark.parametrize("engine", ["cookie", "hybrid"])
def test_pages_that_need_no_query_go_on_while_the_database_hangs(
    server: postgresql.Server, engine: str, tmp_path: Path
) -> None:
    """One request waits, for it asks; all others a second, once."""
    with serve([server.database], tmp_path, engine, more={"OPTIONS": TIMES}) as servers:
        [site] = servers
        user, jar = site.get("new_user", name=f"hangs-{engine}").user, Jar()
        jar.get(site, "log_in", user=user)
        pool = ThreadPoolExecutor(1)
        pids = server.hang()
        try:
            time.sleep(1.2)
            asker = pool.submit(site.get, "session", jar.cookie)
            time.sleep(0.2)
            for wait in (1.9, 0.5, 0.5, 0.5):
                began = time.monotonic()
                assert site.get("session", jar.cookie).user == user
                assert time.monotonic() - began < wait
            began = time.monotonic()
            assert site.get("ping").status == 200  # without a session
            assert time.monotonic() - began < 0.5
            assert not asker.done()
        finally:
            server.go_on(pids)
        assert asker.result(20).user == user
        pool.shutdown()


def test_full_recovery_after_a_standby_takes_over(tmp_path: Path) -> None:
    """Nothing that was acknowledged is lost, nothing that was ended comes back."""
    record = Record()
    with (
        postgresql.primary() as first,
        postgresql.standby(first) as second,
        haproxy([first.port, second.port], "first") as port,
    ):
        databases = [postgresql.at(port)] * 3
        with serve(databases, tmp_path, "hybrid", more={"OPTIONS": TIMES}) as servers:
            with Visitors(servers, record, SEED, 6) as visitors:
                time.sleep(8)
                began = time.monotonic()
                assert first.program is not None
                for pid in [first.program.pid, *first.program.children()]:
                    first.program.send_to(pid, signal.SIGKILL)
                time.sleep(1)
                second.ask("SELECT pg_promote()")
                took = time.monotonic() - began
                time.sleep(1.5)
                record.note(Fault(frozenset(range(3)), began, time.monotonic()))
                time.sleep(8)
            visitors.look_at_all()
            assert not visitors.broken, logs(servers)
            assert took + 1.5 < STALE
            prove("PostgreSQL, a standby takes over", record, second.database, hold=STALE)


@pytest.mark.parametrize("name", ["db", "cached_db"])
def test_checker_finds_what_djangos_engines_lose(
    server: postgresql.Server, name: str, tmp_path: Path
) -> None:
    record = Record()
    engine, databases = f"django.contrib.sessions.backends.{name}", [server.database] * 2
    with redis() as url, serve(databases, tmp_path, engine, REDIS_URL=url) as servers:
        with Visitors(servers, record, SEED, only_log_out=True) as visitors:
            time.sleep(SECONDS)
        visitors.look_at_all()
    with pytest.raises(AssertionError, match="is lost"):
        prove(engine, record, server.database)


BREAKS = {"compare-and-swap": "is lost", "look back": "was ended and answers", "nothing": ""}


@pytest.mark.parametrize("what", BREAKS)
def test_checker_finds_what_is_broken_on_purpose(
    server: postgresql.Server, what: str, tmp_path: Path
) -> None:
    """And nothing where nothing is broken: under the same load, in which ends commit late."""
    record = Record()
    engine = "db" if what == "compare-and-swap" else "hybrid"
    long = {"REVALIDATE_AFTER": 30, "ROTATE_GRACE": 40, "ROTATE_AFTER": 60}
    databases = [server.database] * 2
    with serve(databases, tmp_path, engine, jwtsession=long, SITE_BREAK=what) as servers:
        with Visitors(servers, record, SEED, 12, slow_ends=0.6) as visitors:
            time.sleep(SECONDS)
        visitors.look_at_all()
    with pytest.raises(AssertionError, match=BREAKS[what]) if BREAKS[what] else nullcontext():
        prove(f"broken on purpose: {what}", record, server.database)
