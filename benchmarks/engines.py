"""What a session adds to a request, in-process: this package's engines beside the alternatives.

    python -m benchmarks.engines            # PostgreSQL and Redis on this machine
    python -m benchmarks.engines --quick --only cookie,hybrid --database sqlite:///tmp/bench.db

One process for each engine and interface stays alive; rounds go through all of them in a new order
each time, a fraction of a second each. So a slow minute of the machine is slow for all, and ratios
within a round hold. See README.md.
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
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks import report
from benchmarks.project import ENGINES
from benchmarks.worker import SCENARIOS

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "postgresql://postgres@127.0.0.1:5432/jwtbench"
REDIS = "redis://127.0.0.1:6379/9"
COUNTED = ("anonymous", "untouched", "read", "write", "refresh", "forged")


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
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)


class Block(NamedTuple):
    """What one worker is asked in one round."""

    interface: str
    scenario: str
    engine: str


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a session adds to a request, in-process.")
    add = parser.add_argument
    add("--database", default=os.environ.get("DATABASE_URL", DATABASE), help="URL; sqlite:///path")
    add("--redis", default=os.environ.get("REDIS_URL", REDIS))
    add("--only", help="engines, with commas", default=",".join(ENGINES))
    add("--scenarios", help="with commas", default=",".join(SCENARIOS))
    add("--interfaces", help="wsgi,asgi", default="wsgi,asgi")
    add("--rounds", type=int, default=10)
    add("--seconds", type=float, default=0.2, help="of one block")
    add("--clock", choices=("wall", "cpu"), default="wall", help="cpu: that of the process alone")
    add("--quick", action="store_true", help="three short rounds")
    add("--json", default="benchmarks/engines.json", help="where the numbers go")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 3, 0.05
    return options


def make_database(url: str) -> None:
    """Make the database of the benchmark where it is missing."""
    parts = urlsplit(url)
    if not parts.scheme.startswith("postgres"):
        return
    import psycopg

    name = parts.path.lstrip("/")
    server = parts._replace(scheme="postgresql", path="/postgres").geturl()
    with psycopg.connect(server, autocommit=True) as connection:
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(known, (name,)).fetchone() is None:
            connection.execute(
                psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name))
            )


def run(options: argparse.Namespace) -> tuple[report.Blocks, dict[str, Any]]:
    """Start the workers, run the rounds, end the workers."""
    engines = [name for name in options.only.split(",") if _installed(name)]
    interfaces = options.interfaces.split(",")
    scenarios = options.scenarios.split(",")
    processes: dict[tuple[str, str], Process] = {}
    try:
        for engine in engines:
            for interface in interfaces:
                _progress(f"starting {engine}, {interface}")
                processes[engine, interface] = Process(engine, interface, options)
        blocks: report.Blocks = {
            i: {s: {e: [] for e in engines} for s in scenarios} for i in interfaces
        }
        plan = [Block(i, s, e) for i in interfaces for s in scenarios for e in engines]
        started, done, total = time.monotonic(), 0, options.rounds * len(plan)
        for number in range(options.rounds):
            for block in _shuffled(plan):
                process = processes[block.engine, block.interface]
                found = process.ask(scenario=block.scenario, seconds=options.seconds)
                blocks[block.interface][block.scenario][block.engine].append(found)
                done += 1
                left = (time.monotonic() - started) / done * (total - done)
                bar = "#" * (30 * done // total)
                _progress(f"[{bar:<30}] round {number + 1}/{options.rounds}, {left:.0f} s left")
        costs = {
            engine: {s: processes[engine, "wsgi"].ask(cost=s) for s in COUNTED}
            for engine in engines
            if "wsgi" in interfaces and engine != "none"
        }
        _progress("")
        return blocks, costs
    finally:
        for process in processes.values():
            process.end()


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


def main() -> None:
    import django

    options = arguments()
    make_database(options.database)
    blocks, costs = run(options)
    result = {
        "python": platform.python_version(),
        "django": django.get_version(),
        "database": urlsplit(options.database).scheme,
        "clock": options.clock,
        "rounds": options.rounds,
        "ratios": report.as_json(blocks),
        "added": {
            interface: {
                scenario: {e: report.Spread.of(report.added(r))._asdict() for e, r in by.items()}
                for scenario, by in found.items()
            }
            for interface, found in blocks.items()
        },
        "requests": costs,
        "blocks": blocks,
    }
    Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    print(report.tables(blocks, costs))
    print(f"\nNumbers: {options.json}")


if __name__ == "__main__":
    main()
