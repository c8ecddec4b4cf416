"""Many processes on one feed: a thread stands for each, with a feed of its own.

    DATABASE_URL=postgres://postgres@127.0.0.1/fleet REDIS_URL=redis://127.0.0.1:6379/1 \\
        python -m benchmarks.fleet --feeds 1000 --poll 5 --seconds 30 [--signal]

Says how many statements a second reach the database, and how long after its commit an end is known.
The database is made for the run, and dropped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import threading
import time
from typing import Any

from tests.services.servers import Database

_LINES = 1_000  # there before any feed begins
_ENDS_A_SECOND = 10
_VISITS_A_POLL = 8  # requests of a process
# Seconds until all have loaded, on a machine that all share: so many, and a part of one for each.
_WARM_UP = 8.0, 0.04


def set_up(url: str, redis: str, signal: bool, poll: float) -> None:
    """Be a site of this configuration."""
    import django
    from django.conf import settings

    from tests.settings import _database

    pool = {"min_size": 2, "max_size": 12, "timeout": 30}
    settings.configure(
        SECRET_KEY="a benchmark's own secret key, of more than fifty characters",
        DATABASES={"default": _database(url) | {"OPTIONS": {"pool": pool}}},
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": redis,
                "KEY_PREFIX": f"fleet-{os.getppid()}",
            }
        },
        INSTALLED_APPS=["django_jwtsession", "django.contrib.auth", "django.contrib.contenttypes"],
        JWTSESSION={"REVOCATION_POLL": poll} | ({"REVOCATION_CACHE": "default"} if signal else {}),
        USE_TZ=True,
    )
    django.setup()


class Member:
    """A process: it is visited now and then, and asks for what is new."""

    def __init__(self, moments: Any, stop: Any, began: float, poll: float) -> None:
        from django_jwtsession.revocation.feed import Feed

        self.feed, self.moments, self.stop = Feed(), moments, stop
        self.statements: list[float] = []
        self.known_after: list[float] = []
        self.unknown_after = 0.0  # how long after its commit a visit did not know an end yet
        self.loaded_after = 0.0
        self._began, self._next, self.failed = began, 0, 0
        self._rest = poll / _VISITS_A_POLL

    def _count(self, execute: Any, *args: Any) -> Any:
        self.statements.append(time.monotonic())
        return execute(*args)

    def live(self) -> None:
        from django.db import Error, connection

        with connection.execute_wrapper(self._count):
            while not self.stop.is_set():
                try:
                    self.feed.refresh()
                except Error:
                    self.failed += 1
                connection.close()  # it goes back to the pool
                self._look()
                time.sleep(random.uniform(0.5, 1.5) * self._rest)

    def _look(self) -> None:
        now = time.monotonic()
        if not self.feed.is_complete:
            return
        self.loaded_after = self.loaded_after or now - self._began
        while self._next < len(self.moments) and self.moments[self._next]:
            if not self.feed.is_ended(_name(self._next)):
                self.unknown_after = max(now - self.moments[self._next], self.unknown_after)
                return
            self.known_after.append(now - self.moments[self._next])
            self._next += 1


def _name(number: int) -> str:
    return f"end-{number:018d}"


def work(site: tuple[str, str, bool, float], count: int, shared: Any, found: Any) -> None:
    """Be a part of the fleet; put what was found into a queue."""
    set_up(*site)
    moments, stop, began = shared
    threading.stack_size(256 * 1024)
    members = [Member(moments, stop, began, site[3]) for _ in range(count)]
    threads = [threading.Thread(target=member.live) for member in members]
    for thread in threads:
        thread.start()
        time.sleep(0.01)  # a machine of its own has a core for each; this one is shared by all
    for thread in threads:
        thread.join()
    found.put(
        [
            (m.statements, m.known_after, m.loaded_after, m._next, m.failed, m.unknown_after)
            for m in members
        ]
    )


def end_sessions(moments: Any, seconds: float) -> int:
    """End sessions at an even pace; return how many."""
    from django_jwtsession.revocation.ending import Entry, publish

    number, began = 0, time.monotonic()
    while time.monotonic() < began + seconds:
        publish([Entry("s", _name(number), time.time() + 3600, "fleet")])
        moments[number] = time.monotonic()
        number += 1
        time.sleep(max(0.0, began + number / _ENDS_A_SECOND - time.monotonic()))
    return number


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run a fleet; return its numbers."""
    base, redis = os.environ["DATABASE_URL"], os.environ["REDIS_URL"]
    database = Database(f"{base[: base.rindex('/')]}/fleet_{os.getpid()}")
    database.create()
    context = multiprocessing.get_context("spawn")
    moments = context.Array("d", 10 * int(_ENDS_A_SECOND * arguments.seconds), lock=False)
    stop, found = context.Event(), context.Queue()
    parts: list[Any] = []
    try:
        database.sql(
            "INSERT INTO django_jwtsession_revocation"
            " (kind, name, keep_sid, reason, created_at, expires_at)"
            " SELECT 's', md5(n::text), '', '', extract(epoch FROM now()) - 1000,"
            f" extract(epoch FROM now()) + 36000 FROM generate_series(1, {_LINES}) n"
        )
        site = database.url, redis, arguments.signal, arguments.poll
        set_up(*site)
        shared = moments, stop, time.monotonic()
        share = arguments.feeds // arguments.processes
        for _ in range(arguments.processes):
            parts.append(context.Process(target=work, args=(site, share, shared, found)))
            parts[-1].start()
        time.sleep(_WARM_UP[0] + _WARM_UP[1] * arguments.feeds)
        started = time.monotonic()
        ends = end_sessions(moments, arguments.seconds)
        finished = time.monotonic()
        time.sleep(3 * arguments.poll)
        stop.set()
        members = [one for _ in parts for one in found.get(timeout=60)]
    finally:
        stop.set()
        for part in parts:
            part.join(20)
            part.kill()
        from django.db import connections

        connections["default"].close()
        connections["default"].close_pool()  # type: ignore[attr-defined]
        database.drop()
    asked = {"signal": arguments.signal, "poll": arguments.poll}
    return report(members, ends, started, finished) | asked


def report(
    members: list[tuple[list[float], list[float], float, int, int, float]],
    ends: int,
    started: float,
    finished: float,
) -> dict[str, Any]:
    """Return the figures of a fleet."""
    asked = sorted(at for member in members for at in member[0])
    known = sorted(after for member in members for after in member[1])
    loaded = sorted(member[2] for member in members)
    quiet = [at for at in asked if started <= at <= finished]

    def part(values: list[float], share: float) -> float:
        return round(values[min(int(len(values) * share), len(values) - 1)], 2)

    return {
        "feeds": len(members),
        "ends": ends,
        "failed": sum(member[4] for member in members),
        "missed": sum(ends - member[3] for member in members),
        "statements_a_second": round(len(quiet) / (finished - started), 1),
        "statements_at_start": sum(at < started for at in asked),
        "loaded_after_p99": part(loaded, 0.99),
        "known_after_p50": part(known, 0.5),
        "known_after_p99": part(known, 0.99),
        "known_after_max": part(known, 1.0),
        "unknown_after_max": round(max(member[5] for member in members), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--feeds", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--poll", type=float, default=1.0, help="REVOCATION_POLL, in seconds")
    parser.add_argument("--signal", action="store_true", help="with REVOCATION_CACHE")
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    main()
