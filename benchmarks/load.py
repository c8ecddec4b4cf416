"""The site behind real servers, 64 clients at a time: gunicorn (gthread) and uvicorn, by wrk.

All engines are served at once and asked in turn, so that a slow moment is slow for all. The
visitors of visitors.lua share one session, or have a hundred; each session keeps the cookies that
it is given, as a browser does.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.cookies import SimpleCookie
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENGINES = ("none", "cookie", "db", "hybrid", "django db", "django cached_db")
SESSIONS = {"one session": 1, "100 sessions": 100}
CLIENTS = 64
FIRST_PORT = 8140
GUNICORN = ["gunicorn", "benchmarks.project:served()", "-k", "gthread", "--log-level", "error"]
GUNICORN += ["--workers", "2", "--threads", "4", "--keep-alive", "30", "--bind"]
UVICORN = ["uvicorn", "--factory", "benchmarks.project:served", "--log-level", "error"]
UVICORN += ["--workers", "2", "--lifespan", "off", "--no-access-log", "--port"]

# loads[interface][sessions][engine] is a list of rounds, each {"rate": 1/s, "p50": ms, "p99": ..}.
Loads = dict[str, dict[str, dict[str, list[dict[str, float]]]]]


def missing() -> str:
    """Return what is to be installed before run(), or nothing."""
    modules = [name for name in ("gunicorn", "uvicorn") if find_spec(name) is None]
    return ", ".join(modules if shutil.which("wrk") else [*modules, "wrk (apt-get install wrk)"])


def run(options: Any, engines: list[str], progress: Callable[[str], None]) -> Loads:
    """Serve each of `engines`, WSGI first, and load them for `options.http_rounds` rounds."""
    loads: Loads = {}
    for interface in options.interfaces.split(","):
        loads[interface] = {name: {engine: [] for engine in engines} for name in SESSIONS}
        with ExitStack() as stack:
            ports = {}
            for number, engine in enumerate(engines):
                progress(f"serving {engine}, {interface}")
                server = _served(engine, interface, FIRST_PORT + number, options)
                ports[engine] = stack.enter_context(server)
            for number in range(options.http_rounds):
                for engine in random.sample(engines, len(engines)):
                    for name, sessions in SESSIONS.items():
                        progress(
                            f"{CLIENTS} clients, {name}, {interface}, {engine},"
                            f" round {number + 1}/{options.http_rounds}"
                        )
                        found = _load(interface, ports[engine], engine, sessions, options)
                        loads[interface][name][engine].append(found)
    return loads


@contextmanager
def _served(engine: str, interface: str, port: int, options: Any) -> Iterator[int]:
    site = {
        "BENCH_ENGINE": engine,
        "BENCH_INTERFACE": interface,
        "BENCH_DATABASE": options.database,
        "BENCH_REDIS": options.redis,
    }
    environ = {**os.environ, **site, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    # One process makes the tables before two look for them.
    tables = [sys.executable, "-c", "from benchmarks.project import served; served()"]
    subprocess.run(tables, cwd=ROOT, env=environ, check=True)
    server = [*GUNICORN, f"127.0.0.1:{port}"] if interface == "wsgi" else [*UVICORN, str(port)]
    process = subprocess.Popen([sys.executable, "-m", *server], cwd=ROOT, env=environ)
    try:
        _wait(process, port, f"/{interface}/plain/")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, path: str) -> None:
    """Return once the server answers; raise SystemExit where it has ended or takes too long."""
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        try:
            status, _ = _ask(http.client.HTTPConnection("127.0.0.1", port, timeout=10), path)
        except OSError:
            time.sleep(0.1)
            continue
        if status == 200:
            return
        raise SystemExit(f"\nThe server on port {port} answers {status}.")
    raise SystemExit(f"\nThe server on port {port} does not answer.")


def _ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, str]:
    """Return the status and the value of the session cookie, "" without one."""
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    cookie = SimpleCookie(response.headers.get("Set-Cookie", ""))
    return response.status, cookie["sessionid"].value if "sessionid" in cookie else ""


def _load(interface: str, port: int, engine: str, sessions: int, options: Any) -> dict[str, float]:
    has_sessions = engine != "none"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    page = f"/{interface}/{'login' if has_sessions else 'plain'}/"
    cookies = [_ask(connection, page)[1] for _ in range(sessions)]
    connection.close()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as jar:
        jar.write("".join(f"{cookie}\n" for cookie in cookies))
        jar.flush()
        command = ["wrk", "--threads", "1", "--connections", str(CLIENTS), "--timeout", "10s"]
        command += ["--duration", f"{options.http_seconds}s", "--script", "benchmarks/visitors.lua"]
        command += [f"http://127.0.0.1:{port}/{interface}", "--", jar.name]
        command += [] if has_sessions else ["plain"]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    counted = json.loads(found.stdout.splitlines()[-1])
    rate = counted["requests"] / counted["seconds"]
    return {"rate": rate, **{name: counted[name] for name in ("p50", "p99", "errors", "lost")}}
