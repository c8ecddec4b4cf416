"""What a session adds to a request, in-process and behind servers, beside the alternatives.

    python -m benchmarks.engines            # PostgreSQL and Redis on this machine, wrk
    python -m benchmarks.engines --quick --only cookie,hybrid --database sqlite:///tmp/bench.db

One process for each engine and interface stays alive; rounds go through all of them in a new order
each time, a fraction of a second each. So a slow minute of the machine is slow for all, and ratios
within a round hold. Then the servers, see load.py. What is found goes to a JSON file, which
`python -m benchmarks.report` shows again. See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks import load, pages, report
from benchmarks.project import ENGINES
from benchmarks.worker import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "postgresql://postgres@127.0.0.1:5432/jwtbench"
REDIS = "redis://127.0.0.1:6379/9"
COUNTED = [name for name in SCENARIOS if name not in ("first read", "mix")]
PACKAGES = ("Django", "psycopg", "redis", "gunicorn", "uvicorn", "django-user-sessions")
PACKAGES += ("django-qsessions", "django-allauth", "django-session-jwt")


class Process:
    """A worker and the pipe to it."""

    def __init__(self, engine: str, interface: str, options: argparse.Namespace) -> None:
        arguments = [engine, interface, options.clock, options.database, options.redis]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.worker", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer(engine)
        self._engine = engine

    def ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer(self._engine)

    def _answer(self, engine: str) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"\nThe worker of {engine!r} has ended; its traceback is above.")
        return json.loads(line)

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


class Block(NamedTuple):
    """What one worker is asked in one round."""

    interface: str
    scenario: str
    engine: str


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a session adds to a request.")
    add = parser.add_argument
    add("--database", default=os.environ.get("DATABASE_URL", DATABASE), help="URL; sqlite:///path")
    add("--redis", default=os.environ.get("REDIS_URL", REDIS))
    add("--only", help="engines, with commas", default=",".join(ENGINES))
    add("--scenarios", help="with commas", default=",".join(SCENARIOS))
    add("--interfaces", help="wsgi,asgi", default="wsgi,asgi")
    add("--rounds", type=int, default=10)
    add("--seconds", type=float, default=0.15, help="of one block")
    add("--minutes", type=float, default=10, help="in-process; no round begins to end after them")
    add("--clock", choices=("wall", "cpu"), default="wall", help="cpu: that of the process alone")
    add("--http-rounds", type=int, default=3, help="0: no servers")
    add("--http-seconds", type=int, default=2, help="of one load")
    add("--quick", action="store_true", help="three short rounds, one of the servers")
    add("--json", default="benchmarks/engines.json", help="where the numbers go")
    add("--write-docs", action="store_true", help="and tables and plots into docs/")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 3, 0.05
        options.http_rounds, options.http_seconds = min(options.http_rounds, 1), 1
    return options


@contextmanager
def database(url: str) -> Iterator[None]:
    """Make the database of the benchmark where it is missing, and drop what was made."""
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgres"):
        yield
        return
    import psycopg
    from psycopg.sql import SQL, Identifier

    name = parts.path.lstrip("/")
    server = parts._replace(scheme="postgresql", path="/postgres", query="").geturl()
    with psycopg.connect(server, autocommit=True) as connection:
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        made = connection.execute(known, (name,)).fetchone() is None
        if made:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    try:
        yield
    finally:
        if made:
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def run(options: argparse.Namespace, engines: list[str]) -> tuple[report.Blocks, report.Costs]:
    """Start the workers, run the rounds, end the workers."""
    interfaces = options.interfaces.split(",")
    scenarios = options.scenarios.split(",")
    processes: dict[tuple[str, str], Process] = {}
    end = time.monotonic() + options.minutes * 60
    try:
        for engine in engines:
            for interface in interfaces:
                _progress(f"starting {engine}, {interface}")
                processes[engine, interface] = Process(engine, interface, options)
        blocks: report.Blocks = {
            i: {s: {e: [] for e in engines} for s in scenarios} for i in interfaces
        }
        plan = [Block(i, s, e) for i in interfaces for s in scenarios for e in engines]
        _rounds(options.rounds, options.seconds, end, plan, processes, blocks)
        costs = {
            engine: {s: processes[engine, "wsgi"].ask(cost=s) for s in COUNTED if s in scenarios}
            for engine in engines
            if "wsgi" in interfaces and engine != "none"
        }
        _progress("")
        return blocks, costs
    finally:
        for process in processes.values():
            process.end()


def _rounds(
    rounds: int,
    seconds: float,
    end: float,
    plan: list[Block],
    processes: dict[tuple[str, str], Process],
    blocks: report.Blocks,
) -> None:
    started, done, total = time.monotonic(), 0, rounds * len(plan)
    for number in range(rounds):
        now = time.monotonic()
        if number and now + (now - started) / number > end:
            return
        for block in _shuffled(plan):
            process = processes[block.engine, block.interface]
            found = process.ask(scenario=block.scenario, seconds=seconds)
            blocks[block.interface][block.scenario][block.engine].append(found)
            done += 1
            now = time.monotonic()
            left = max(0, min((now - started) / done * (total - done), end - now))
            bar = "#" * (30 * done // total)
            _progress(f"[{bar:<30}] round {number + 1}/{rounds}, {left:.0f} s left")
        if not sys.stderr.isatty():
            print(f"round {number + 1}/{rounds}", file=sys.stderr)


def _shuffled(plan: list[Block]) -> list[Block]:
    """Scenarios in a new order, the engines of each next to one another in a new order."""
    groups: dict[tuple[str, str], list[Block]] = {}
    for block in plan:
        groups.setdefault((block.interface, block.scenario), []).append(block)
    order = random.sample(list(groups.values()), len(groups))
    return [block for group in order for block in random.sample(group, len(group))]


def _installed(name: str) -> bool:
    if ENGINES[name].installed:
        return True
    print(f"{name}: {ENGINES[name].package} is not installed; left out.", file=sys.stderr)
    return False


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _loads(options: argparse.Namespace, engines: list[str]) -> load.Loads:
    if not options.http_rounds:
        return {}
    if missing := load.missing():
        print(f"No servers: install {missing}.", file=sys.stderr)
        return {}
    loads = load.run(options, [name for name in load.ENGINES if name in engines], _progress)
    _progress("")
    return loads


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    options = arguments()
    engines = [name for name in options.only.split(",") if _installed(name)]
    busy = os.getloadavg()[0]
    with database(options.database):
        blocks, costs = run(options, engines)
        loads = _loads(options, engines)
    result = {
        "python": platform.python_version(),
        "packages": _versions(),
        "processors": os.cpu_count(),
        "load_average": busy,
        "database": urlsplit(options.database).scheme,
        "clock": options.clock,
        "ratios": report.ratios(blocks),
        "blocks": blocks,
        "costs": costs,
        "loads": loads,
    }
    Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    print(report.tables(result))
    print(f"\nNumbers: {options.json}")
    if options.write_docs:
        pages.write(result)


if __name__ == "__main__":
    main()
