"""Django and Next.js behind one origin: ``python -m example_project.nextjs.demo [HOST:PORT]``.

Installs and builds the Next.js site where that is due, starts both and a proxy before them, and
stops all three with Ctrl-C. tests/interop uses the same functions.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from example_project import env

SITE = Path(__file__).resolve().parent
ROOT = SITE.parents[1]
_SOURCES = ("*.json", "*.ts", "app/**/*", "lib/*.ts")
# What Next.js needs of Django's environment.
SHARED = ("SESSION_SECRET", "SESSION_SECRET_FALLBACKS")
GREETING = """
  Next.js  {origin}/dashboard
  Django   {origin}/ and everything else

  User     demo    password  {DEMO_PASSWORD}

  Try      {origin}/dashboard   Django asks who you are, and Next.js knows it
           {origin}/profile     log out here, then open the dashboard again

  Ctrl-C stops all three servers.
"""
_OFFLINE = {"NEXT_TELEMETRY_DISABLED": "1"}


class ServerFailed(Exception):
    """A server ended, or did not answer in time."""


def build() -> None:
    """Install the packages and build the site, each only if what it depends on has changed.

    Raises ServerFailed without Node, CalledProcessError where npm or Next.js fail.
    """
    install()
    found = {path for pattern in _SOURCES for path in SITE.glob(pattern) if path.is_file()}
    sources = [path for path in found if path.name != "next-env.d.ts"]  # the build writes it
    _unless_done(SITE / ".next" / ".built", sources, ["npm", "run", "--silent", "build"])


def install() -> None:
    """Install the packages, if they have changed. Raises as build() does."""
    if shutil.which("npm") is None:
        raise ServerFailed("Install Node.js 20.9 or newer, with npm.")
    _unless_done(
        SITE / "node_modules" / ".installed",
        [SITE / "package.json"],
        ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"],
    )


def _unless_done(stamp: Path, sources: list[Path], command: list[str]) -> None:
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(path.read_bytes())
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    subprocess.run(command, cwd=SITE, env=os.environ | _OFFLINE, check=True, stdout=sys.stderr)  # noqa: S603
    stamp.write_text(digest.hexdigest())


class Servers:
    """Processes that live as long as a ``with`` block: each is stopped by its own pid.

    Arguments: `log` takes all that they print; without it errors go to standard error.
    """

    def __init__(self, log: IO[bytes] | None = None) -> None:
        self._log = log
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Servers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def django(self, port: int, env: Mapping[str, str]) -> str:
        """Start Django as `make demo` does, with its users; return its address."""
        command = [sys.executable, "-m", "example_project.demo", f"127.0.0.1:{port}"]
        return self.start(command, ROOT, env, port)

    def next(self, port: int, env: Mapping[str, str]) -> str:
        """Start the built Next.js site; return its address."""
        command = ["node", "node_modules/next/dist/bin/next", "start"]
        command += ["--hostname", "127.0.0.1", "--port", str(port)]
        return self.start(command, SITE, {**env, **_OFFLINE}, port)

    def proxy(self, port: int, *, host: str = "127.0.0.1", django: str, next: str) -> str:  # noqa: A002
        """Put both behind one origin; return its address."""
        env = {"HOST": host, "PORT": str(port), "DJANGO_URL": django, "NEXT_URL": next}
        return self.start(["node", "dev-proxy.mjs"], SITE, env, port)

    def start(self, command: list[str], cwd: Path, env: Mapping[str, str], port: int) -> str:
        """Start a process that serves at `port`; return its address once it does.

        Raises ServerFailed where it does not.
        """
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if self._log is None else self._log,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is for us alone, who stop them in order
        )
        self._processes.append(process)
        _await(port, process, command)
        return f"http://127.0.0.1:{port}"

    def watch(self) -> None:
        """Wait. Raises ServerFailed when one of the processes has ended."""
        while all(process.poll() is None for process in self._processes):
            time.sleep(0.5)
        raise ServerFailed("One of the servers has ended, so the others do.")


def _await(port: int, process: subprocess.Popen[bytes], command: list[str]) -> None:
    """Return once anything answers at `port`. Raises ServerFailed after 60 seconds."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
    raise ServerFailed(f"{' '.join(command)} does not answer at port {port}")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(address: str = "127.0.0.1:8000") -> None:
    """Serve at `address` ("host:port") until Ctrl-C."""
    host, _, port = address.rpartition(":")
    build()
    with Servers() as servers:
        django = servers.django(free_port(), {"PROXIES": "1"})
        known = env.read()  # with what Django's demo has just written into .env
        secrets = {name: known[name] for name in SHARED if name in known}
        site = servers.next(free_port(), {**secrets, "DJANGO_URL": django})
        servers.proxy(int(port), host=host, django=django, next=site)
        print(GREETING.format(origin=f"http://{address}", **known), flush=True)
        servers.watch()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        main(*sys.argv[1:2])
    except KeyboardInterrupt:
        print("\nStopped.")
    except ServerFailed as error:
        sys.exit(str(error))
