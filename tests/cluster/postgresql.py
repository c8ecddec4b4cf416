"""A PostgreSQL primary and its streaming standby, and what may stand before them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.services.servers import Database, until

from .processes import Program, folder, free_ports, run

_USER = "postgres"


def at(port: int) -> Database:
    """Return the site's database as it is reached at a port."""
    return Database(f"postgres://{_USER}@127.0.0.1:{port}/site")


class Server:
    """A server in the foreground, on a port of its own."""

    def __init__(self, data: Path, port: int) -> None:
        self.data, self.port = data, port
        self.program: Program | None = None
        self.database = at(port)

    def start(self, **settings: str) -> None:
        more = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        arguments = ["-D", str(self.data), "-k", str(self.data.parent), "-h", "127.0.0.1"]
        arguments += ["-p", str(self.port), "-c", "fsync=off", "-c", "max_connections=300", *more]
        self.program = Program(_USER, self.data.with_suffix(".log"), "postgres", *arguments)
        self.program.await_port(self.port)
        until(self._answers, 30, 0.1)

    def _answers(self) -> bool:
        with contextlib.suppress(Exception), contextlib.closing(self.database.connect("postgres")):
            return True
        return False

    def ask(self, statement: str) -> object:
        with contextlib.closing(self.database.connect("postgres")) as connection:
            connection.autocommit = True
            found = connection.execute(statement)
            return found.fetchone() if found.description else None

    def has_row(self, table: str, column: str, value: object) -> bool:
        """Tell whether the site's table has a row with a value."""
        return bool(self.database.sql(f"SELECT 1 FROM {table} WHERE {column} = %s", value))

    def hang(self) -> list[int]:
        """Stop all its processes where they stand; return their ids, for go_on()."""
        assert self.program is not None
        pids = [self.program.pid, *self.program.children()]
        for pid in pids:
            self.program.send_to(pid, signal.SIGSTOP)
        return pids

    def go_on(self, pids: list[int]) -> None:
        assert self.program is not None
        for pid in reversed(pids):
            self.program.send_to(pid, signal.SIGCONT)

    def stop(self) -> None:
        if self.program is not None:
            self.program.stop(signal.SIGINT)


@contextlib.contextmanager
def primary() -> Iterator[Server]:
    """A running server with the site's tables, ready to have a standby."""
    with folder("pg", _USER) as path:
        server = Server(path / "primary", free_ports(1)[0])
        run(_USER, "initdb", "-D", str(server.data), "-U", _USER, "-A", "trust", "-N", cwd=path)
        try:
            server.start()
            server.database.create()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def standby(of: Server) -> Iterator[Server]:
    """A standby that follows, and without which nothing is acknowledged."""
    server = Server(of.data.with_name("standby"), free_ports(1)[0])
    where = f"host=127.0.0.1 port={of.port} user={_USER} application_name=standby"
    run(
        _USER,
        "pg_basebackup",
        *("-D", str(server.data), "-d", where, "-R", "-X", "stream", "-N", "-c", "fast"),
        cwd=of.data.parent,
    )
    try:
        server.start()
        until(lambda: of.ask("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))
        of.ask("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        of.ask("SELECT pg_reload_conf()")
        until(lambda: of.ask("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
        yield server
    finally:
        server.stop()
