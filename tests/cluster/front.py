"""What stands before databases, or beside them: HAProxy, PgBouncer, Redis."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.services.servers import until

from .processes import Program, folder, free_ports, listens

_HAPROXY = """
global
    maxconn 2000
    stats socket {folder}/admin level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    option redispatch
listen databases
    bind 127.0.0.1:{port}
    balance {balance}
    default-server inter 200ms fall 2 rise 2 on-marked-down shutdown-sessions
{servers}
"""

_PGBOUNCER = """
[databases]
* = host=127.0.0.1 port={target} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 10
max_client_conn = 500
server_reset_query =
ignore_startup_parameters = extra_float_digits
"""


@contextlib.contextmanager
def haproxy(ports: list[int], balance: str = "roundrobin") -> Iterator[int]:
    """Share connections out among ports; "first" takes the first that is there."""
    with folder("haproxy", "haproxy") as path:
        [port] = free_ports(1)
        servers = "\n".join(
            f"    server s{number} 127.0.0.1:{each} check" for number, each in enumerate(ports)
        )
        config = path / "haproxy.cfg"
        config.write_text(_HAPROXY.format(folder=path, port=port, balance=balance, servers=servers))
        program = Program("haproxy", path / "log", "haproxy", "-db", "-f", str(config))
        try:
            program.await_port(port)
            yield port
        finally:
            program.kill()


@contextlib.contextmanager
def pgbouncer(target: int) -> Iterator[int]:
    """Put PgBouncer in transaction mode before a server."""
    with folder("pgbouncer", "postgres") as path:
        [port] = free_ports(1)
        config = Path(path) / "pgbouncer.ini"
        config.write_text(_PGBOUNCER.format(target=target, port=port))
        program = Program("postgres", path / "log", "pgbouncer", str(config))
        try:
            until(lambda: listens(port), 20, 0.1)
            yield port
        finally:
            program.kill()


class Redis:
    """A Redis that keeps nothing on a disk; it can be full, hang, die and come back empty."""

    def __init__(self, path: Path, port: int) -> None:
        self._path, self._port = path, port
        self.url = f"redis://127.0.0.1:{port}/1"
        self.start()

    def start(self) -> None:
        arguments = ["--bind", "127.0.0.1", "--port", str(self._port), "--save", ""]
        arguments += ["--dir", str(self._path)]
        self._program = Program("redis", self._path / "log", "redis-server", *arguments)
        self._program.await_port(self._port)

    def _ask(self, *command: object) -> None:
        import redis

        with redis.from_url(self.url) as client:
            client.execute_command(*command)

    def flush(self) -> None:
        self._ask("FLUSHALL")

    def fill(self) -> None:
        """Take no writes; what is there can be read."""
        self._ask("CONFIG", "SET", "maxmemory", 1)

    def free(self) -> None:
        self._ask("CONFIG", "SET", "maxmemory", 0)

    def hang(self) -> None:
        self._program.send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._program.send(signal.SIGCONT)

    def kill(self) -> None:
        self._program.kill()


@contextlib.contextmanager
def redis() -> Iterator[Redis]:
    """Start a Redis."""
    with folder("redis", "redis") as path:
        server = Redis(path, free_ports(1)[0])
        try:
            yield server
        finally:
            server.kill()
