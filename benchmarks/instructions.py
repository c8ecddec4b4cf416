"""What a session adds to a request in instructions, which a busy machine does not change.

    python -m benchmarks.instructions                # needs valgrind; SQLite, and Redis if named
    python -m benchmarks.instructions --only cookie,"django signed_cookies" --interfaces asgi

Each scenario runs in two forks of one process, with few and with many requests; the difference is
free of start-up. What a request waits for (the disk, a database's server, a thread's turn) counts
nothing here: benchmarks.engines measures that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.project import ENGINES

ROOT = Path(__file__).resolve().parent.parent
ONLY = "cookie,db,hybrid,django signed_cookies,django db"
SCENARIOS = "anonymous,untouched,read,first read,user,write,write by POST,forged,login/logout"
FEW, MANY = 200, 1200
REDIS = "redis://127.0.0.1:6379/9"


def count(engine: str, interface: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the thousands of instructions that a request of each scenario adds."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--quiet"]
        command += [f"--cachegrind-out-file={folder}/%p", "--log-file=/dev/null", sys.executable]
        command += ["-W", "ignore", "-m", "benchmarks.instructions", "--worker", folder]
        command += ["--only", engine, "--interfaces", interface, "--redis", options.redis]
        command += ["--scenarios", options.scenarios]
        env = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=ROOT, env=env, check=True)
        runs = json.loads(Path(folder, "runs.json").read_text())
        used = {name: [_summary(Path(folder, str(pid))) for pid in pids] for name, pids in runs}
    each = {name: (many - few) / (MANY - FEW) / 1e3 for name, (few, many) in used.items()}
    base = each.pop("baseline")
    return {name: found - base for name, found in each.items()} | {"baseline": base}


def _summary(path: Path) -> int:
    lines = path.read_text().splitlines()
    return int(next(line for line in lines if line.startswith("summary:")).split()[1])


def work(options: argparse.Namespace) -> None:
    """Run in valgrind: fork for each scenario, and write down who was who."""
    from benchmarks.worker import Worker

    folder = options.worker
    engine = ENGINES[options.only]
    if engine.ours:  # in valgrind a second is a few requests
        engine.options["REVOCATION_POLL"] = 3600.0
    worker = Worker(
        options.only, options.interfaces, "cpu", f"sqlite:///{folder}/db.sqlite3", options.redis
    )
    runs = [("baseline", _forks(lambda n: _repeat(lambda: worker.baseline.get("plain"), n)))]
    for scenario in options.scenarios.split(","):

        def run(n: int, scenario: str = scenario) -> None:
            with ExitStack() as stack:
                if scenario == "login/logout":
                    client = worker._client(worker.sessions)
                    _repeat(lambda: client.get("logout" if client.cookie else "login"), n)
                    return
                client, page, before = worker._scene(scenario, stack)
                _repeat(lambda: (before(), client.get(page)), n)
                if client.status != 200:
                    raise RuntimeError(f"{scenario}: status {client.status}")

        runs.append((scenario, _forks(run)))
    Path(folder, "runs.json").write_text(json.dumps(runs))


def _repeat(request: Callable[[], object], n: int) -> None:
    for _ in range(n):
        request()


def _forks(run: Callable[[int], None]) -> list[int]:
    from asgiref.sync import SyncToAsync
    from django.db import connections

    from benchmarks.clients import ASGIClient

    pids = []
    for n in (FEW, MANY):
        connections.close_all()
        pid = os.fork()
        if pid == 0:
            # Threads stay behind in a fork.
            ASGIClient.loop = None
            SyncToAsync.single_thread_executor = ThreadPoolExecutor(1)
            run(n)
            os._exit(0)
        if os.waitpid(pid, 0)[1]:
            raise SystemExit("a scenario failed; its traceback is above")
        pids.append(pid)
    return pids


def show(interface: str, found: dict[str, dict[str, float]], options: argparse.Namespace) -> None:
    scenarios = ["baseline", *options.scenarios.split(",")]
    print(f"\n{interface.upper()}: thousands of instructions added to a request without sessions")
    print(f"{'':<24}" + "".join(f"{name:>14}" for name in scenarios))
    for engine, each in found.items():
        print(f"{engine:<24}" + "".join(f"{each[name]:>14.1f}" for name in scenarios))
    blocks: dict[str, dict[str, Any]] = {
        s: {e: [{"base": 0.0, "engine": each[s]}] for e, each in found.items()} for s in scenarios
    }
    for goal in report.GOALS:
        result = report.ratio(blocks, goal)
        if result is not None:
            limit = goal.limits[interface]
            print(f"{goal.name:<46}{result[0].middle:>6.2f}{limit:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--only", default=ONLY, help=f"engines of {', '.join(ENGINES)}")
    parser.add_argument("--interfaces", default="wsgi", help="wsgi,asgi")
    parser.add_argument("--scenarios", default=SCENARIOS)
    parser.add_argument("--redis", default=os.environ.get("REDIS_URL", REDIS))
    options = parser.parse_args()
    if options.worker:
        return work(options)
    for interface in options.interfaces.split(","):
        found = {name: count(name, interface, options) for name in options.only.split(",")}
        show(interface, found, options)
    return None


if __name__ == "__main__":
    main()
