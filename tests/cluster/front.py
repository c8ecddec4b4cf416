"""What stands before databases, or beside them: HAProxy, PgBouncer, Redis."""

from __future__ import annotations

import contextlib
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


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis that keeps nothing; its URL."""
    with folder("redis", "redis") as path:
        [port] = free_ports(1)
        arguments = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(path)]
        program = Program("redis", path / "log", "redis-server", *arguments)
        try:
            program.await_port(port)
            yield f"redis://127.0.0.1:{port}/1"
        finally:
            program.kill()
