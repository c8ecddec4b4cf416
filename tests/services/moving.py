"""A site under load that is moved by a restart, and moved back: who is signed out, what fails.

``python -m tests.services.moving ENGINE [SESSIONS [DEPLOY ..]]`` prints the figures of
docs/moving.md, on the database that DATABASE_URL names, or a SQLite file; all deploys by default.
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
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django_jwtsession.moving.ours import is_ours

from . import servers
from .client import Answer, Jar, fetch
from .servers import ROOT, Database, Server

CLIENTS = 20
Deployed = tuple[str, dict[str, Any]]  # a server's engine, and its JWTSESSION


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

    `found` counts what was answered: "fine", "signed out", or what failed; `ours` the browsers that
    have a cookie of ours at the end.
    """

    def __init__(self, servers: list[Server], browsers: list[Browser], rounds: int = 2) -> None:
        self._servers = servers
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
        self.ours = sum(is_ours(browser.cookie) for browser in browsers)

    def _client(
        self, number: int, browsers: list[Browser], rounds: int, gate: threading.Barrier
    ) -> None:
        chance = random.Random(number)
        gate.wait(60)
        for _ in range(rounds):
            for browser in browsers:
                server = chance.choice(self._servers)
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


def phases(old: str, ours: str, share: float = 0.05) -> dict[str, list[Deployed]]:
    """Return the engine and JWTSESSION of both servers, as a site deploys them one after the other.

    What stands side by side there signs nobody out. Arguments: `share` of the browsers, that move
    first.
    """
    before: Deployed = (old, {})
    moved = {"MIGRATE_FROM": old}
    told, back = (
        (ours, moved | {"MIGRATE_TO": old, "MIGRATE_SHARE": 0}),
        (ours, {"MIGRATE_TO": old}),
    )
    return {
        "before": [before, before],
        "rolling": [before, (ours, moved | {"MIGRATE_SHARE": 0})],
        "canary": [(ours, moved | {"MIGRATE_SHARE": share})] * 2,
        "raised": [(ours, moved | {"MIGRATE_SHARE": share}), (ours, moved)],
        "moved": [(ours, moved)] * 2,
        "told": [(ours, moved), told],
        "first moves back": [told, back],
        "moved back": [back, back],
        "old code again": [back, before],
        "after": [before, before],
    }


def move_and_back(
    database: Database,
    folder: Path,
    deploys: dict[str, list[Deployed]],
    browsers: list[Browser],
    rounds: int = 2,
) -> Iterator[tuple[str, Load]]:
    """Serve the browsers by two servers after each deploy. Yields its name, and its load."""
    for name, deploy in deploys.items():
        with ExitStack() as stack:
            sites = [
                stack.enter_context(
                    servers.serve(
                        database,
                        folder / str(number),
                        engine,
                        jwtsession,
                        kinds=("gthread",),
                        SITE_STOCK="0" if jwtsession else "1",
                    )
                )
                for number, (engine, jwtsession) in enumerate(deploy)
            ]
            load = Load([site.servers[0] for site in sites], browsers, rounds)
            if load.bad:
                print(name, load.bad, *(site.errors() for site in sites), file=sys.stderr)
        yield name, load


def main() -> None:
    old = sys.argv[1]
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    deploys = phases(old, "django_jwtsession.backends.hybrid")
    deploys = {name: deploys[name] for name in sys.argv[3:] or deploys}
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        with servers.database(os.environ.get("DATABASE_URL", ""), folder) as database:
            browsers = make_sessions(database, old, folder, number)
            base = 0.0
            print(f"{len(browsers)} sessions, {database.scheme}", flush=True)
            for name, load in move_and_back(database, folder, deploys, browsers, rounds=1):
                middle, most = (sorted(load.seconds)[int(number * 2 * at)] for at in (0.5, 0.99))
                base = base or middle
                print(
                    f"{name}: {dict(load.found)}, {load.ours} cookies of ours;"
                    f" {middle / base:.2f} of the first time, 99 %: {most / base:.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
