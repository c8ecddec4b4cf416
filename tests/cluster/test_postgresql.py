"""PostgreSQL: a standby that takes over, PgBouncer, pools, a server that hangs."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.services.client import Jar
from tests.services.servers import until

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


@contextmanager
def hangs(server: postgresql.Server) -> Iterator[None]:
    """A dead disk, or SIGSTOP: connections are there, and nothing answers."""
    pids = server.hang()
    try:
        yield
    finally:
        server.go_on(pids)


@contextmanager
def is_stopped(server: postgresql.Server) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


TROUBLES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "hangs": (hangs, {"OPTIONS": TIMES}),
    # Whose own patience is 30 s.
    "is stopped, with a pool": (is_stopped, {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": True}}),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize(
    ("engine", "kind", "page"),
    [
        ("cookie", "gthread", "session"),
        ("hybrid", "gthread", "session"),
        ("hybrid", "uvicorn", "asession"),
    ],
)
def test_pages_that_need_no_query_go_on_while_the_database_does_not_answer(
    server: postgresql.Server, engine: str, kind: str, page: str, trouble: str, tmp_path: Path
) -> None:
    """One request waits, for it asks; all others a second, once."""
    happens, more = TROUBLES[trouble]
    with serve([server.database], tmp_path, engine, (kind,), more=more) as servers:
        [site] = servers
        user, jar = site.get("new_user", name=f"{trouble} {engine} {kind}").user, Jar()
        jar.get(site, "log_in", user=user)

        def visit(end: float) -> list[float]:
            took = []
            while (began := time.monotonic()) < end:
                assert site.get(page, jar.cookie).user == user
                took.append(time.monotonic() - began)
                time.sleep(0.1)
            return took

        with ThreadPoolExecutor(5) as pool:
            with happens(server):
                time.sleep(1.2)
                asker = pool.submit(site.get, page, jar.cookie)
                time.sleep(0.2)
                for wait in (1.9, 0.5, 0.5, 0.5):
                    began = time.monotonic()
                    assert site.get(page, jar.cookie).user == user
                    assert time.monotonic() - began < wait
                assert not asker.done()
                # Copies become due, and whoever asks may be told of it: another asks then.
                end = time.monotonic() + SETTINGS["REVALIDATE_AFTER"]
                took = [one.result() for one in [pool.submit(visit, end) for _ in range(4)]]
                quick = [each < 0.5 for one in took for each in one]
                assert quick.count(False) <= 8
                assert quick.count(True) > 40
                began = time.monotonic()
                assert site.get("ping").status == 200  # without a session
                assert time.monotonic() - began < 0.5
            assert asker.result(20).user == user
        assert jar.post(site, "put", recovered="1").status == 200, logs(servers)


def test_end_that_a_failover_has_lost_is_written_again(tmp_path: Path) -> None:
    """The standby takes over without having got it; asynchronous replication promises no more.

    Processes that know of the end hold to it meanwhile.
    """
    with (
        postgresql.primary() as first,
        postgresql.standby(first) as second,
        haproxy([first.port, second.port], "first") as port,
    ):
        first.ask("ALTER SYSTEM RESET synchronous_standby_names")
        first.ask("SELECT pg_reload_conf()")
        long = {"STALE_IF_ERROR": 60, "ROTATE_GRACE": 90, "ROTATE_AFTER": 100}
        more = {"OPTIONS": TIMES}
        databases = [postgresql.at(port)] * 2
        with serve(
            databases, tmp_path, "hybrid", jwtsession=long, more=more, SITE_LONG_LOOK="3"
        ) as servers:
            here, there = servers
            user, jar = here.get("new_user", name="lost").user, Jar()
            jar.get(here, "log_in", user=user)
            sid = here.get("session", jar.cookie).json["sid"]
            until(lambda: second.has_row("django_jwtsession_session", "user_id", user))
            second.stop()
            copy = jar.copy()
            assert jar.get(here, "log_out").status == 200
            until(lambda: there.get("session", copy.cookie).user is None, 2)
            assert first.program is not None
            first.program.kill()
            second.start()
            second.ask("SELECT pg_promote()")

            def is_gone() -> bool:
                for site in servers:
                    answer = site.get("session", copy.cookie)
                    assert answer.status == 500 or answer.user is None
                written = second.has_row("django_jwtsession_revocation", "name", sid)
                return written and not second.has_row("django_jwtsession_session", "user_id", user)

            until(is_gone, 20, 0.1)
            # A process that has never heard of it.
            with serve([second.database], tmp_path / "new", "hybrid") as [fresh]:
                assert fresh.get("session", copy.cookie).user is None


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
            prove(
                "PostgreSQL, the primary killed, its synchronous standby promoted",
                record,
                second.database,
                hold=STALE,
            )


@pytest.mark.parametrize("name", ["db", "cached_db"])
def test_checker_finds_what_djangos_engines_lose(
    server: postgresql.Server, name: str, tmp_path: Path
) -> None:
    record = Record()
    engine, databases = f"django.contrib.sessions.backends.{name}", [server.database] * 2
    with redis() as cache, serve(databases, tmp_path, engine, REDIS_URL=cache.url) as servers:
        with Visitors(servers, record, SEED, only_log_out=True) as visitors:
            time.sleep(SECONDS)
        visitors.look_at_all()
    with pytest.raises(AssertionError, match="is lost"):
        prove(f"as a control: Django's `{name}`", record, server.database)


BREAKS = {"compare-and-swap": "is lost", "look back": "was ended and answers", "nothing": ""}
WHAT = {
    "compare-and-swap": "no version is compared before a write",
    "look back": "the feed does not look back",
    "nothing": "nothing, under the same load",
}


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
        prove(f"broken on purpose: {WHAT[what]}", record, server.database)
