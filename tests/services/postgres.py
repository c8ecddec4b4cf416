"""A PostgreSQL server of a test's own, which can be stopped and started."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .servers import Database


def _programs() -> Path:
    """Return the folder with initdb and pg_ctl; skip the test where there is none."""
    folders = [Path(os.environ["PG_BIN"])] if "PG_BIN" in os.environ else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders += [Path(found).parent] if (found := shutil.which("initdb")) else []
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    pytest.skip("PostgreSQL's initdb and pg_ctl are not installed (PG_BIN names their folder)")


class Postgres:
    """A server on a free port of 127.0.0.1, its data in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._bin = _programs()
        self._data = folder / "data"
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync")
        self.database = Database(f"postgres://postgres@127.0.0.1:{self._port}/site")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        if os.getuid() == 0:  # it refuses to run as root
            command = [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                *command,
            ]
        subprocess.run(command, cwd=self._folder, check=True, timeout=60, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-p {self._port} -h 127.0.0.1 -k {self._folder} -c fsync=off"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast" ends all connections, "immediate" is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server with the site's database."""
    folder = Path(tempfile.mkdtemp(prefix="jwtsession-pg-"))  # its user must get into it
    folder.chmod(0o711)
    server = None
    try:
        server = Postgres(folder)
        server.start()
        server.database.create()
        yield server
    finally:
        if server is not None:
            with contextlib.suppress(subprocess.CalledProcessError):  # stopped already
                server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
