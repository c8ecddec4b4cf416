"""Starting what the tests need: databases and server processes. All end with their `with` block."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .client import Answer, fetch

ROOT = Path(__file__).resolve().parents[2]
_APP = "tests.services.site"
# The command line of each kind of server; {fd} is the socket on which it listens.
KINDS = {
    "gthread": "gunicorn -k gthread -w 1 --threads 12",
    "gthread-2": "gunicorn -k gthread -w 2 --threads 4",
    "sync": "gunicorn -k sync -w 2",
    "gevent": "gunicorn -k gevent -w 1 --worker-connections 50",
    "preload": "gunicorn -k gthread -w 2 --threads 4 --preload",
    "uvicorn": "uvicorn",
}
_GUNICORN = f"--bind fd://{{fd}} --log-level warning {{quiet}} {_APP}.wsgi:application"
_UVICORN = f"--fd {{fd}} --log-level warning --lifespan off {_APP}.asgi:application"


def until(condition: Callable[[], Any], seconds: float = 20, every: float = 0.02) -> Any:
    """Return what `condition` says as soon as it is true; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(every)
    return found


class Database:
    """A database of the tests' own, by URL; `sql` asks it beside Django."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self.scheme = parts.scheme
        self._place = {
            "host": parts.hostname,
            "port": parts.port,
            "user": parts.username,
            "password": parts.password or "",
        }
        self.name = parts.path if self.scheme == "sqlite" else parts.path.lstrip("/")

    def connect(self, name: str | None = None) -> Any:
        """Return a DB-API connection, not in autocommit mode."""
        name = self.name if name is None else name
        if self.scheme == "sqlite":
            import sqlite3

            return sqlite3.connect(name, timeout=20)
        if self.scheme == "mysql":
            import MySQLdb

            return MySQLdb.connect(**self._place, database=name)
        import psycopg

        return psycopg.connect(**self._place, dbname=name)

    def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """Run a statement, parameters as %s, and commit; return the rows."""
        if self.scheme == "sqlite":
            statement = statement.replace("%s", "?")
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            rows = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
            return rows

    def _administer(self, statement: str) -> None:
        connection = self.connect("mysql" if self.scheme == "mysql" else "postgres")
        with contextlib.closing(connection):
            connection.autocommit = True if self.scheme != "mysql" else connection.autocommit
            connection.cursor().execute(statement)

    def create(self) -> None:
        """Make it, with the site's tables."""
        if self.scheme != "sqlite":
            self._administer(f"CREATE DATABASE {self.name}")
        env = site_env(self, "django_jwtsession.backends.db", {}, Path(".")) | {"SITE_DBSC": "{}"}
        # The site's own table is made last: it refers to users, whose table a migration makes.
        for more in ([], ["--run-syncdb"]):
            command = [sys.executable, "-m", "django", "migrate", "--verbosity=0", *more]
            subprocess.run(command, cwd=ROOT, env=env, check=True)

    def drop(self) -> None:
        if self.scheme == "sqlite":
            Path(self.name).unlink(missing_ok=True)
            return
        force = " WITH (FORCE)" if self.scheme != "mysql" else ""
        self._administer(f"DROP DATABASE IF EXISTS {self.name}{force}")


@contextlib.contextmanager
def database(url: str, folder: Path) -> Iterator[Database]:
    """A new database on the server of `url`, dropped at the end; a file in `folder` without one."""
    if url:
        name = f"jwtsession_services_{os.getpid()}"
        made = Database(url[: url.rindex("/") + 1] + name)
    else:
        made = Database(f"sqlite://{folder / 'services.sqlite3'}")
    try:
        made.create()
        yield made
    finally:
        made.drop()


def site_env(
    database: Database,
    engine: str,
    jwtsession: dict[str, Any],
    gates: Path,
    clock: float = 0.0,
) -> dict[str, str]:
    """Return the environment that configures the site; SETTLE is no setting, but site.oddities'."""
    jwtsession = dict(jwtsession)
    settle = jwtsession.pop("SETTLE", "")
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": f"{_APP}.settings",
        "SITE_DATABASE": database.url,
        "SITE_ENGINE": engine,
        "SITE_JWTSESSION": json.dumps(jwtsession),
        "SITE_GATES": str(gates),
        "SITE_CLOCK": str(clock),
        "SITE_SETTLE": str(settle),
    }


def _no_control_socket() -> str:
    """Newer gunicorns open a socket in the home folder, the same one for all."""
    from gunicorn.config import KNOWN_SETTINGS

    known = any("--no-control-socket" in (s.cli or ()) for s in KNOWN_SETTINGS)
    return "--no-control-socket" if known else ""


class Server:
    """A server process on a free port of 127.0.0.1, and its log."""

    def __init__(self, kind: str, env: dict[str, str], log: Path) -> None:
        self._log = log
        with socket.socket() as listening, log.open("wb") as out:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", 0))
            listening.listen(128)
            self.port: int = listening.getsockname()[1]
            arguments = f"{KINDS[kind]} {_UVICORN if kind == 'uvicorn' else _GUNICORN}"
            arguments = arguments.format(fd=listening.fileno(), quiet=_no_control_socket())
            # A group of its own: its workers end with it, whatever happens.
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments.split()],
                cwd=ROOT,
                env=env,
                stdout=out,
                stderr=out,
                pass_fds=[listening.fileno()],
                start_new_session=True,
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def get(self, path: str, cookie: str = "", **parameters: Any) -> Answer:
        """Visit a page."""
        return fetch(self.port, path, cookie, parameters)

    def post(self, path: str, cookie: str = "", body: bytes = b"", **parameters: Any) -> Answer:
        """Post to a page."""
        return fetch(self.port, path, cookie, parameters, body)

    def send(self, path: str, cookie: str, headers: dict[str, str], **parameters: Any) -> Answer:
        """Visit a page with headers."""
        return fetch(self.port, path, cookie, parameters, headers=headers)

    def ready(self) -> None:
        """Wait until it answers."""

        def answers() -> bool:
            assert self.process.poll() is None, self.log()
            try:
                return self.get("ping").status == 200
            except OSError:
                return False

        until(answers, 30, 0.05)

    def stop(self) -> None:
        """End it with its workers, at once: there is nothing that they have to finish."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)


class Site:
    """Server processes of one configuration on one database, and the gates in their pages."""

    def __init__(self, database: Database, folder: Path, engine: str) -> None:
        self.database = database
        self.engine = engine
        self.servers: list[Server] = []
        self._gates = folder

    def reached(self, gate: str) -> None:
        """Wait until a request waits at the gate."""
        until((self._gates / f"{gate}.reached").exists)

    def open(self, gate: str) -> None:
        """Let the request at the gate on."""
        (self._gates / f"{gate}.open").touch()

    def shift(self, seconds: float) -> None:
        """Move the clocks of all server processes, of one worker each; they go on from there."""
        for server in self.servers:
            assert server.get("shift", seconds=seconds).status == 200

    def learn(self) -> None:
        """Let all server processes, of one worker each, ask the feed now."""
        for server in self.servers:
            assert server.get("learn").status == 200

    def errors(self) -> str:
        """Return the ends of the servers' logs, to be shown by an assertion."""
        return "\n".join(server.log()[-3000:] for server in self.servers)

    def logged(self, text: str) -> int:
        """Return how often `text` stands in the servers' logs."""
        return sum(server.log().count(text) for server in self.servers)


@contextlib.contextmanager
def serve(
    database: Database,
    folder: Path,
    engine: str,
    jwtsession: dict[str, Any] | None = None,
    kinds: tuple[str, ...] = ("gthread", "gthread"),
    clocks: tuple[float, ...] = (0.0, 0.0),
    **variables: str,
) -> Iterator[Site]:
    """Serve the site from a server of each of `kinds`, whose clocks are off by `clocks`.

    `variables` are more of those that site/settings.py reads, such as SITE_SECRET.
    """
    folder.mkdir(exist_ok=True)
    site = Site(database, folder, engine)
    try:
        for number, (kind, clock) in enumerate(zip(kinds, clocks, strict=False)):
            env = site_env(database, engine, jwtsession or {}, folder, clock) | variables
            site.servers.append(Server(kind, env, folder / f"{number}.log"))
        for server in site.servers:
            server.ready()
        yield site
    finally:
        for server in site.servers:
            server.stop()
