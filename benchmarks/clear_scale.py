"""What `clearsessions` costs those who write meanwhile: ours, or Django's on its own table.

    python -m benchmarks.scale --rows 10000000 --only nothing     # makes the tables
    python -m benchmarks.clear_scale --rows 10000000
    python -m benchmarks.clear_scale --rows 10000000 --django

A writer changes sessions picked at random at a steady pace: for a while alone, while a process of
its own clears a tenth of the table, and alone again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import scale

_TOKENS = 5_000
_CLEAR = """
import sys
from benchmarks import scale
scale.configure({"default": sys.argv[1]})
if sys.argv[2] == "django":
    from django.conf import settings
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "clearsessions", "--verbosity", "2"])
"""


class Writer(threading.Thread):
    """Writes at a steady pace until it is told to stop; notes when, and how long each took."""

    def __init__(self, write: Callable[[], Any], a_second: float) -> None:
        super().__init__(daemon=True)
        self.took: list[tuple[float, float]] = []
        self._write, self._pause, self._stop_it = write, 1 / a_second, threading.Event()

    def run(self) -> None:
        due = time.monotonic()
        while not self._stop_it.is_set():
            began = time.monotonic()
            self._write()
            self.took.append((began, time.monotonic() - began))
            due = max(due + self._pause, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        self._stop_it.set()
        self.join()

    def between(self, start: float, end: float) -> list[float]:
        return sorted(took * 1e3 for began, took in self.took if start <= began < end)


def our_write(rows: int) -> Callable[[], Any]:
    """Return what changes a session as a request does: read, write back."""
    from benchmarks.bulk import session_id, token_of
    from django_jwtsession.backends.db import SessionStore

    random = Random(1)
    # Sealed before, not while it is measured: each row is written to more than once.
    tokens = [token_of(session_id(random.randrange(rows // 5, rows))) for _ in range(_TOKENS)]

    def write() -> None:
        session = SessionStore(random.choice(tokens))
        session["cart"] = [random.randrange(10_000)]
        session.save()

    return write


def django_write(rows: int) -> Callable[[], Any]:
    """Return the same for Django's engine, on rows of the benchmark's making."""
    from django.contrib.sessions.backends.db import SessionStore

    random = Random(1)

    def write() -> None:
        key = md5(f"session{random.randrange(rows // 5, rows)}".encode(), usedforsecurity=False)
        session = SessionStore(key.hexdigest())
        session["cart"] = [random.randrange(10_000)]
        session.save()

    return write


def fill_django(rows: int) -> None:
    """Make Django's table, a tenth of it expired, if it is empty (PostgreSQL)."""
    from django.contrib.sessions.models import Session
    from django.db import connection

    if Session.objects.exists():
        return
    data = ":1nn0:".join(["x" * 200, "y" * 43])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_session SELECT md5('session' || n), %s,"
            " now() + make_interval(secs => CASE WHEN n <= %s THEN -10 - (%s - n) * 0.5"
            " ELSE 86400 + (hashint8(n) & 2147483647) %% 518400 END)"
            " FROM generate_series(1, %s) AS series(n)",
            [data, rows // 10, rows // 10, rows],
        )
        cursor.execute("VACUUM ANALYZE django_session")


def clear(url: str, engine: str, log: list[str]) -> tuple[int, int, int]:
    """Run the command; return its exit code, and its memory in the middle and at most, in MB."""
    command = [sys.executable, "-c", _CLEAR, url, engine]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: log.extend(process.stdout or ()))
    reader.start()
    seen = []
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        seen += [int(kb) // 1024 for kb in re.findall(r"VmRSS:\s+(\d+)", status)]
        time.sleep(0.2)
    reader.join()
    process.stdout.close()
    return process.returncode, seen[len(seen) // 2], max(seen)


def percentiles(times: list[float]) -> str:
    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
    return (
        f"{len(times):>6} writes, p50 {p50:6.1f} ms, p99 {p99:7.1f} ms, worst {times[-1]:8.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", default="postgres://postgres@127.0.0.1:5432/jwtscale")
    parser.add_argument("--django", action="store_true", help="Django's table and command")
    parser.add_argument("--writes", type=float, default=50, help="a second")
    parser.add_argument("--idle", type=float, default=40, help="seconds before and after")
    options = parser.parse_args()
    url = f"{options.database}_{options.rows}"
    scale.configure({"default": url})
    if options.django:
        fill_django(options.rows)
    write = (django_write if options.django else our_write)(options.rows)
    for _ in range(20):
        write()
    writer = Writer(write, options.writes)
    writer.start()
    start = time.monotonic()
    time.sleep(options.idle)
    began = time.monotonic()
    log: list[str] = []
    code, middle, most = clear(url, "django" if options.django else "ours", log)
    ended = time.monotonic()
    time.sleep(options.idle)
    writer.stop()
    print("".join(log[-4:]), end="")
    print(f"exit {code}, {ended - began:.0f} s; {middle} MB halfway, {most} MB at most")
    idle = sorted(writer.between(start, began) + writer.between(ended, time.monotonic()))
    print("idle    ", percentiles(idle))
    print("clearing", percentiles(writer.between(began, ended)))


if __name__ == "__main__":
    main()
