"""A full disk: pages that read are shown, who signs in is told, no session is lost or mixed."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.services.servers import Database, Server, until

from . import postgresql
from .load import Visitors
from .processes import Program, folder, free_ports, needs_cluster, run
from .record import Fault, Record
from .sites import logs, prove, serve

needs_cluster("postgres", "mariadbd", "mount")

SEED = 15
NOT_NOW = "Nobody can sign in at the moment"


class Disk:
    """A small disk of its own, which can be full."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave nothing free."""
        with self._ballast.open("wb", buffering=0) as out, contextlib.suppress(OSError):
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        out.write(b"x" * size)
        free = os.statvfs(self.path)
        assert free.f_bfree == 0

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk() -> Iterator[Disk]:
    with folder("disk", "root") as path:
        mount = ["mount", "-t", "tmpfs", "-o", "size=192m,mode=711", "none", str(path)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("needs the right to mount a disk")
        try:
            yield Disk(path)
        finally:
            subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextlib.contextmanager
def on_postgresql(disk: Disk) -> Iterator[Database]:
    """Its log, without which it does not run at all, is elsewhere."""
    place = disk.path / "tables"
    place.mkdir()
    shutil.chown(place, "postgres")
    with postgresql.primary() as server:
        server.ask(f"CREATE TABLESPACE small LOCATION '{place}'")
        server.ask(f"ALTER DATABASE {server.database.name} SET TABLESPACE small")
        yield server.database


@contextlib.contextmanager
def on_mariadb(disk: Disk) -> Iterator[Database]:
    data, [port] = disk.path / "data", free_ports(1)
    more = ["--no-defaults", "--user=mysql", f"--datadir={data}", "--innodb-log-file-size=8M"]
    as_root = ["--skip-test-db", "--auth-root-authentication-method=normal"]
    shutil.chown(disk.path, "mysql")
    run("mysql", "mariadb-install-db", *more, *as_root, cwd=disk.path)
    with folder("mariadb", "mysql") as path:
        more += [f"--socket={path / 'socket'}", f"--pid-file={path / 'pid'}", f"--port={port}"]
        more += [f"--tmpdir={path}", "--bind-address=127.0.0.1", "--character-set-server=utf8mb4"]
        program = Program("mysql", path / "log", "mariadbd", *more)
        try:
            program.await_port(port)
            database = Database(f"mysql://root@127.0.0.1:{port}/site")
            database.create()
            yield database
        finally:
            program.stop()


@contextlib.contextmanager
def on_sqlite(disk: Disk) -> Iterator[Database]:
    database = Database(f"sqlite://{disk.path / 'site.sqlite3'}")
    database.create()
    yield database


ON: dict[str, Callable[[Disk], AbstractContextManager[Database]]] = {
    "PostgreSQL": on_postgresql,
    "MariaDB": on_mariadb,
    "SQLite": on_sqlite,
}


def sign_in(server: Server, name: str) -> tuple[int, str]:
    """Send the login page's form; return the answer's status and text."""
    token = "c" * 32
    form = {"username": name, "password": "old password", "csrfmiddlewaretoken": token}
    headers = {
        "Cookie": f"csrftoken={token}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        connection.request("POST", "/login/", urlencode(form), headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


@pytest.mark.parametrize("name", ON)
def test_full_disk_loses_and_mixes_no_session(name: str, disk: Disk, tmp_path: Path) -> None:
    record = Record()
    with ON[name](disk) as database, serve([database] * 2, tmp_path, "hybrid") as servers:
        servers[0].get("new_user", name="ada")
        assert sign_in(servers[0], "ada")[0] == 302
        with Visitors(servers, record, SEED, 6) as visitors:
            time.sleep(5)
            began = time.monotonic()
            disk.fill()

            def is_told() -> bool:
                # At first something still fits into a page that has room: all of a login, or its
                # first write alone, which is Django's 500 then.
                status, text = sign_in(servers[0], "ada")
                return status == 503 and NOT_NOW in text

            until(is_told, 20, 0.05)
            time.sleep(6)
            ended = time.monotonic()
            disk.free()
            until(lambda: sign_in(servers[0], "ada")[0] == 302, 5, 0.1)
            record.note(Fault(frozenset({0, 1}), began, time.monotonic()))
            time.sleep(4)
        visitors.look_at_all()
        assert not visitors.broken, logs(servers)
        prove(f"{name}, two processes, its disk full for 7 s", record, database)
        read = [one for one in record.seen if began < one.sent_at and one.answered_at < ended]
        assert {one.status for one in read if one.sid != "a login"} == {200}
        for server in servers:
            assert server.log().count("The database takes no writes") <= 1
            assert "out of reach" not in server.log()
        assert any("The database takes no writes" in server.log() for server in servers)
