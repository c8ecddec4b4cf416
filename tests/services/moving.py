"""A site under load that is moved by a restart, and moved back: who is signed out, what fails.

``python -m tests.services.moving ENGINE [SESSIONS]`` prints the figures of docs/moving.md, on the
database that DATABASE_URL names, or a SQLite file.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import servers
from .client import Answer, Jar, fetch
from .servers import ROOT, Database, Site

CLIENTS = 20


class Browser(Jar):
    """A cookie jar whose user is known, and the number in its session."""

    def __init__(self, cookie: str, user: str, number: int) -> None:
        super().__init__(cookie)
        self.user = user
        self.number = number


def make_sessions(
    database: Database, engine: str, folder: Path, number: int, users: int = 50
) -> list[Browser]:
    """Return browsers with sessions that another engine made, in a process of its own."""
    module = "tests.services.site.sessions"
    done = subprocess.run(
        [sys.executable, "-m", module, str(number), str(users)],
        cwd=ROOT,
        env=servers.site_env(database, engine, {}, folder),
        check=True,
        capture_output=True,
        text=True,
    )
    made = json.loads(done.stdout)
    return [Browser(cookie, user, each) for each, (cookie, user) in enumerate(made)]


class Load:
    """20 clients, two and two with one browser at a time: its requests are parallel, on any server.

    `found` counts what was answered: "fine", "signed out", or what failed.
    """

    def __init__(self, site: Site, browsers: list[Browser], rounds: int = 2) -> None:
        self._site = site
        self.found: Counter[str] = Counter()
        self.seconds: list[float] = []
        pairs = CLIENTS // 2
        shares = [browsers[first::pairs] for first in range(pairs)]
        gate = threading.Barrier(CLIENTS)
        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [
                pool.submit(self._client, number, shares[number // 2], rounds, gate)
                for number in range(CLIENTS)
            ]
            for each in running:
                each.result()

    def _client(
        self, number: int, browsers: list[Browser], rounds: int, gate: threading.Barrier
    ) -> None:
        chance = random.Random(number)
        gate.wait(60)
        for _ in range(rounds):
            for browser in browsers:
                server = chance.choice(self._site.servers)
                began = time.monotonic()
                try:
                    answer = _visit(server.port, browser, chance.random() < 0.2)
                    what = _judged(answer, browser)
                except (OSError, http.client.HTTPException, AssertionError) as error:
                    what = f"failed: {type(error).__name__}"
                self.seconds.append(time.monotonic() - began)
                self.found[what] += 1

    @property
    def bad(self) -> dict[str, int]:
        """What is not as it should be."""
        return {what: count for what, count in self.found.items() if what != "fine"}


def _visit(port: int, browser: Browser, writes: bool) -> Answer:
    path, more = ("put", {"seen": "1"}) if writes else ("session", {})
    answer = fetch(port, path, browser.cookie, more)
    browser.keep(answer)
    return answer


def _judged(answer: Answer, browser: Browser) -> str:
    if answer.status != 200:
        return f"failed: {answer.status}"
    if "user" not in answer.json:  # a page that writes
        return "fine"
    if answer.json["user"] != browser.user:
        return "signed out"
    return "fine" if answer.json["data"].get("number") == browser.number else "data lost"


def move_and_back(
    database: Database,
    folder: Path,
    old: str,
    ours: str,
    browsers: list[Browser],
    only: tuple[str, ...] = (),
    rounds: int = 2,
) -> Iterator[tuple[str, Load]]:
    """Serve the browsers by the old engine, move them by a restart, and move them back.

    Arguments: `only` the phases of these names, all by default. Yields each with its load.
    """
    back = {"MIGRATE_FROM": old, "MIGRATE_TO": old}
    phases: dict[str, tuple[str, dict[str, Any]]] = {
        "before": (old, {}),
        "moved": (ours, {"MIGRATE_FROM": old}),
        "moved back": (ours, back),
        "after": (old, {}),
    }
    for name, (engine, jwtsession) in phases.items():
        if only and name not in only:
            continue
        stock = "0" if jwtsession else "1"
        with servers.serve(database, folder, engine, jwtsession, SITE_STOCK=stock) as site:
            load = Load(site, browsers, rounds)
            if load.bad:
                print(name, load.bad, site.errors(), file=sys.stderr)
        yield name, load


def main() -> None:
    old = sys.argv[1]
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    ours, only = "django_jwtsession.backends.hybrid", ("moved", "moved back")
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        with servers.database(os.environ.get("DATABASE_URL", ""), folder) as database:
            browsers = make_sessions(database, old, folder, number)
            for name, load in move_and_back(database, folder, old, ours, browsers, only, rounds=1):
                times = sorted(load.seconds)
                middle, most = times[len(times) // 2], times[int(len(times) * 0.99)]
                found = f"{middle * 1e3:.1f} ms, 99 %: {most * 1e3:.1f} ms"
                print(f"{name}: {dict(load.found)}; {found}", flush=True)


if __name__ == "__main__":
    main()
