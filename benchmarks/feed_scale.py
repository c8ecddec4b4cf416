"""The revocation feed with a million entries, and how fast revocations reach other processes.

    python -m benchmarks.feed_scale --entries 1000000
    python -m benchmarks.feed_scale --entries 1000000 --propagation 30

Makes the database jwtscale_feed, which stays for the next run; benchmarks.scale drops it with
`--rows feed --drop`. Time of the first load, the memory it takes, and what a look costs beside an
empty feed's; then 4 processes that poll while a fifth revokes 100 sessions a second.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from django.conf import settings

from benchmarks import scale

PROCESSES = 4
_REVOKERS = 8


def resident() -> float:
    """Return the memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def forked(work: Any) -> Any:
    """Return what `work` finds out in a process of its own."""
    from django.db import connections

    connections.close_all()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with os.fdopen(writing, "w") as out:
            json.dump(work(), out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as found:
        result = json.load(found)
    os.waitpid(pid, 0)
    return result


def load() -> dict[str, float]:
    """Load everything, in a process that has nothing yet; then look things up."""
    from django_jwtsession.models import Revocation
    from django_jwtsession.revocation.feed import Feed

    Revocation.objects.exists()  # connects
    empty, full = Feed(), Feed()
    empty._learning.complete = empty._learning.settled = True
    before = resident()
    began, processor = time.perf_counter(), time.process_time()
    full.load()
    took, processor = time.perf_counter() - began, time.process_time() - processor
    gc.collect()
    memory = resident() - before
    sids = list(Revocation.objects.values_list("name", flat=True)[:50_000])
    return {
        "entries": full.count(),
        "seconds": took,
        "processor": processor,
        "megabytes": memory,
        "look_empty_ns": _look(empty, sids),
        "look_full_ns": _look(full, [sid[::-1] for sid in sids]),
        "look_hit_ns": _look(full, sids),
        "poll_ms": _poll(full),
        "long_look_ms": _poll(full, long=True),
    }


def _look(feed: Any, sids: list[str]) -> float:
    best = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for sid in sids:
            feed.revoked(sid, "1", 0.0)
        best = min(best, time.perf_counter() - began)
    return best / len(sids) * 1e9


def _poll(feed: Any, long: bool = False) -> float:
    times = []
    for _ in range(15):
        feed._next_ask = float("-inf")
        if long:
            feed._learning.next_long_look = float("-inf")
        began = time.perf_counter()
        feed.refresh()
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2] * 1e3


def watch(seconds: float) -> list[list[Any]]:
    """Serve: ask the feed 100 times a second, as requests do; note when each entry was learnt."""
    from django_jwtsession.revocation.feed import get_feed

    learnt: list[list[Any]] = []
    feed: Any = get_feed()
    feed._note = lambda sid, *_: learnt.append([sid, time.time()])  # of each new line
    end = time.time() + seconds
    while (now := time.time()) < end:
        feed.refresh()
        time.sleep(max(0.0, 0.01 - (time.time() - now)))
    return learnt


def revoke(seconds: float, a_second: float) -> dict[str, float]:
    """Revoke sessions at a steady pace, from threads; return when each call returned."""
    from django_jwtsession.revocation import revoke_session
    from django_jwtsession.tokens.sid import new_sid

    done: dict[str, float] = {}

    def one() -> None:
        sid = new_sid()
        revoke_session(sid)
        done[sid] = time.time()

    start = time.time()
    with ThreadPoolExecutor(_REVOKERS) as pool:
        for number in range(int(seconds * a_second)):
            time.sleep(max(0.0, start + number / a_second - time.time()))
            pool.submit(one)
    return done


def propagation(seconds: float, a_second: float) -> None:
    """Print how long after its revocation a session is refused by each process."""
    from django.db import connections

    from django_jwtsession.revocation.feed import load

    load()  # once for all, as a server does that loads the site before it forks
    connections.close_all()
    readers = []
    for _ in range(PROCESSES):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(reading)
            time.sleep(Random().random())  # nobody's polls are in step
            with os.fdopen(writing, "w") as out:
                json.dump(watch(seconds + 6), out)
            os._exit(0)
        os.close(writing)
        readers.append(os.fdopen(reading))
    time.sleep(2)
    began = time.time()
    done = revoke(seconds, a_second)
    took = time.time() - began
    found = [dict(json.load(reader)) for reader in readers]
    for _ in readers:
        os.wait()
    late = sorted(times[sid] - at for times in found for sid, at in done.items() if sid in times)
    missed = sum(sid not in times for times in found for sid in done)
    print(
        f"{len(done) / took:.0f} revocations a second, {PROCESSES} processes: known after"
        f" p50 {late[len(late) // 2] * 1e3:.0f} ms, p99 {late[int(len(late) * 0.99)] * 1e3:.0f} ms,"
        f" at most {late[-1] * 1e3:.0f} ms; {missed} missed"
    )


def prepare(url: str, entries: int) -> None:
    """Make the database, or as many entries as are wanted."""
    from django.core.management import call_command
    from django.db import connection

    from benchmarks import bulk
    from django_jwtsession.models import Revocation

    if not scale.exists(url):
        scale.create(url)
        call_command("migrate", verbosity=0)
    if Revocation.objects.in_force().count() < entries:
        bulk.fill_revocations(connection, entries)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--database", default="postgres://postgres@127.0.0.1:5432/jwtscale")
    parser.add_argument("--propagation", type=float, metavar="SECONDS", default=0.0)
    parser.add_argument("--a-second", type=float, default=100.0, help="revocations")
    options = parser.parse_args()
    url = f"{options.database}_feed"
    scale.configure({"default": url})
    settings.JWTSESSION = {"STALE_IF_ERROR": 600}  # a load on a busy machine takes its time
    prepare(url, options.entries)
    if options.propagation:
        return propagation(options.propagation, options.a_second)
    for name, value in forked(load).items():
        print(f"{name:<16}{value:>14,.1f}")
    return None


if __name__ == "__main__":
    main()
