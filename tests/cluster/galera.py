"""Three nodes of MariaDB Galera, each with a data directory of its own."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.services.servers import Database, until

from .processes import Program, folder, found, free_ports, run

_PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")
# A node that is gone is given up after two seconds, not after the five of the default.
_TIMES = "evs.keepalive_period=PT0.3S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S"
# How long a read waits for what others have acknowledged (its default is 30 s): longer than the
# others need to agree that one is gone.
_READS = "repl.causal_read_timeout=PT6S"


class Node:
    """A node: a server, and its place in the cluster."""

    def __init__(self, data: Path, port: int, group_port: int, ist_port: int) -> None:
        self.data, self.port = data, port
        self._group_port, self._ist_port = group_port, ist_port
        self._address = "gcomm://"
        self.program: Program | None = None
        self.database = Database(f"mysql://root@127.0.0.1:{port}/site")

    def join(self, nodes: list[Node]) -> None:
        """Say which nodes make up the cluster."""
        members = ",".join(f"127.0.0.1:{node._group_port}" for node in nodes)
        self._address = f"gcomm://{members}"

    def _arguments(self, *more: str) -> list[str]:
        options = (
            f"gmcast.listen_addr=tcp://127.0.0.1:{self._group_port};"
            f"ist.recv_addr=127.0.0.1:{self._ist_port};gcache.size=64M;{_TIMES};{_READS}"
        )
        return [
            "--no-defaults",
            "--user=mysql",
            f"--datadir={self.data}",
            f"--socket={self.data}.socket",
            f"--pid-file={self.data}.pid",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--max-connections=300",
            "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-autoinc-lock-mode=2",
            "--binlog-format=ROW",
            "--wsrep-on=ON",
            f"--wsrep-provider={_PROVIDER}",
            f"--wsrep-provider-options={options}",
            "--wsrep-cluster-name=jwtsession",
            f"--wsrep-cluster-address={self._address}",
            f"--wsrep-node-address=127.0.0.1:{self._group_port}",
            f"--wsrep-node-name={self.data.name}",
            # Who asks one node sees what another has acknowledged.
            "--wsrep-sync-wait=7",
            *more,
        ]

    def start(self, *more: str) -> None:
        log = self.data.with_suffix(".log")
        self.program = Program("mysql", log, "mariadbd", *self._arguments(*more))
        self.program.await_port(self.port)
        until(self.is_synced, 60, 0.1)

    def start_again(self) -> None:
        """Start it after a crash: it says where it has come to, and gets what is missing."""
        said = run("mysql", "mariadbd", *self._arguments("--wsrep-recover"), cwd=self.data.parent)
        position = re.findall(r"Recovered position:? *(\S+:-?\d+)", said)[-1]
        self.start(f"--wsrep-start-position={position}")

    def stop(self) -> None:
        if self.program is not None:
            self.program.stop()

    def ask(self, statement: str) -> Any:
        """Return the first row of a statement's answer, past the database's own name."""
        with contextlib.closing(self.database.connect("")) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None

    def losses(self) -> int:
        """Return how often it has lost the majority, and with it the right to answer."""
        return self.data.with_suffix(".log").read_text(errors="replace").count("Received NON-PRIM")

    def is_synced(self) -> bool:
        """Tell whether it is a living part of the cluster."""
        try:
            found = self.ask("SHOW STATUS LIKE 'wsrep_local_state_comment'")
        except Exception:  # whatever the driver says of a server that is starting
            return False
        return found is not None and found[1] == "Synced"

    def cut_off(self) -> None:
        """Let it hear no other node."""
        self.ask("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'")

    def let_back(self) -> None:
        self.ask("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'")
        until(self.is_synced, 60, 0.1)


def is_installed() -> bool:
    return bool(found("mariadbd")) and _PROVIDER.exists()


@contextlib.contextmanager
def galera(count: int = 3) -> Iterator[list[Node]]:
    """A running cluster, without the site's tables."""
    with folder("galera", "mysql") as path:
        ports = free_ports(3 * count)
        nodes = [Node(path / f"n{n}", *ports[3 * n : 3 * n + 3]) for n in range(count)]
        first = nodes[0]
        install = ["--no-defaults", "--user=mysql", f"--datadir={first.data}", "--skip-test-db"]
        run(
            "mysql",
            "mariadb-install-db",
            *install,
            "--auth-root-authentication-method=normal",
            cwd=path,
        )
        try:
            # The others begin with a copy of the first: so they have nothing to be sent.
            first.start("--wsrep-new-cluster")
            first.stop()
            for node in nodes[1:]:
                shutil.copytree(first.data, node.data)
                for each in [node.data, *node.data.rglob("*")]:
                    shutil.chown(each, "mysql", "mysql")
            for node in nodes:
                node.join(nodes)
            first.start("--wsrep-new-cluster")
            for node in nodes[1:]:
                node.start()
            yield nodes
        finally:
            for node in reversed(nodes):
                node.stop()
