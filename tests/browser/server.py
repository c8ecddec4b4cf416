"""The example in a server process of its own, with a database in a file."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth.hashers import make_password

from tests.services.servers import ROOT, until

PASSWORD = "an-engine-of-1843"
_SECRET = "a-secret-of-the-browser-tests-in-more-than-32-bytes"
_HASH = make_password(PASSWORD)


class Site:
    """The served example, and ways past its pages: users, SQL, the clock."""

    def __init__(self, engine: str, scheme: str, port: int, database: Path) -> None:
        self.engine = engine
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        # The same server, but another site to browsers: their cookies and forms are apart.
        self.other_site = f"{scheme}://localhost:{port}"
        # By a name: browsers bind no sessions of a bare address.
        self.named = f"{scheme}://dbsc.test:{port}"
        self._database = database

    def sql(self, statement: str, *parameters: Any) -> list[sqlite3.Row]:
        """Run a statement and commit; return the rows."""
        with self._connection() as connection:
            return connection.execute(statement, parameters).fetchall()

    def insert(self, table: str, *rows: dict[str, Any]) -> None:
        names = ", ".join(rows[0])
        marks = ", ".join(f":{name}" for name in rows[0])
        with self._connection() as connection:
            connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._database, timeout=20)) as connection:
            connection.row_factory = sqlite3.Row
            with connection:
                yield connection

    def new_user(self, name: str = "", *, staff: bool = False) -> str:
        """Make a user whose password is PASSWORD; return the name."""
        name = name or f"user-{uuid4().hex[:8]}"
        user = {
            "username": name,
            "email": f"{name}@example.com",
            "password": _HASH,
            "is_staff": staff,
            "is_superuser": staff,
            "is_active": True,
            "first_name": "",
            "last_name": "",
            "date_joined": "2026-01-01 00:00:00",
        }
        self.insert("auth_user", user)
        return name

    def later(self, seconds: float) -> None:
        """Move the server's clock on; the browser's stays."""
        self.get(f"/clock?{seconds}")

    def delay(self, path: str, seconds: float) -> None:
        """Let requests of a path wait before they are answered, from now on."""
        self.get(f"/delay?{path}={seconds}")

    def get(self, path: str) -> int:
        """Return the status of a page."""
        trusting = ssl._create_unverified_context()
        with urllib.request.urlopen(self.url + path, timeout=5, context=trusting) as response:
            return int(response.status)


def new_database(file: Path) -> None:
    """Make a database with the example's tables, and those of the apps of some tests."""
    command = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
    environment = _environment(file) | {"BROWSER_DBSC": "{}"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


@contextlib.contextmanager
def serve(
    database: Path,
    engine: str,
    certificate: Path | None = None,
    frozen_at: float | None = None,
    templates: Path | None = None,
    dbsc: str = "",
) -> Iterator[Site]:
    """Serve the example on a free port: with `certificate` as in production, else as the demo.

    Arguments: with `frozen_at` (Unix time) the server's clock stands still; `templates` is a folder
    of the site's own; `dbsc` is the setting DBSC as JSON, and installs the app.
    """
    environment = _environment(database) | {
        "SESSION_BACKEND": engine,
        "DEBUG": "0" if certificate else "1",
        "BROWSER_CLOCK": str(frozen_at or ""),
        "BROWSER_TEMPLATES": str(templates or ""),
        "BROWSER_DBSC": dbsc,
    }
    scheme = "https" if certificate else "http"
    log = database.with_suffix(".log")
    with socket.socket() as listening, log.open("wb") as out:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        gunicorn = ["gunicorn", "-c", "tests/browser/gunicorn_conf.py", "tests.browser.wsgi"]
        tls = [f"--certfile={certificate}", f"--keyfile={certificate}"] if certificate else []
        site = Site(engine, scheme, listening.getsockname()[1], database)
        # A group of its own: its workers end with it, whatever happens.
        process = subprocess.Popen(
            [sys.executable, "-m", *gunicorn, "--bind", f"fd://{listening.fileno()}", *tls],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=out,
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            return site.get("/login") == 200
        return False

    try:
        until(answers, 30, 0.05)
        yield site
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)


def _environment(database: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.browser.settings",
        "BROWSER_DATABASE": str(database),
        "SESSION_SECRET": _SECRET,
        "SESSION_BACKEND": "hybrid",
        "ALLOWED_HOSTS": "127.0.0.1 localhost dbsc.test",
        "PROXIES": "1",  # profiles tell their address in X-Forwarded-For
        "DEBUG": "1",
    }
