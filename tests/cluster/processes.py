"""Programs of other packages on loopback: started as their users, stopped by their process ids."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.servers import until


def needs_cluster(*programs: str) -> None:
    """Skip the module that calls this without CLUSTER_TESTS, or without a program."""
    if not os.environ.get("CLUSTER_TESTS"):
        pytest.skip("needs CLUSTER_TESTS=1, see make test-cluster", allow_module_level=True)
    if os.getuid() != 0:
        pytest.skip("needs root, to start servers as their users", allow_module_level=True)
    for program in programs:
        if not found(program):
            pytest.skip(f"needs {program}", allow_module_level=True)


def found(program: str) -> str | None:
    """Return the path of a program, None for none; PostgreSQL's stand in a folder of their own."""
    paths = [os.environ.get("PATH", ""), "/usr/sbin"]
    paths += map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
    return shutil.which(program, path=os.pathsep.join(paths))


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 on which nothing listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def listens(port: int) -> bool:
    """Tell whether anything answers at a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def folder(name: str, user: str) -> Iterator[Path]:
    """Return a folder of a user's, which is gone at the end."""
    path = Path(tempfile.mkdtemp(prefix=f"jwtsession-{name}-"))
    path.chmod(0o711)
    shutil.chown(path, user)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def command(user: str, program: str, *arguments: str) -> list[str]:
    """Return what runs a program as a user; it ends with the process that has started it."""
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    as_user += ["setpriv", "--pdeathsig", "KILL"]  # by itself: another user forgets it
    return [*as_user, found(program) or program, *arguments]


def run(user: str, program: str, *arguments: str, cwd: Path) -> str:
    """Run a program to its end; return what it says."""
    done = subprocess.run(
        command(user, program, *arguments), cwd=cwd, timeout=90, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Program:
    """A server in the foreground."""

    def __init__(self, user: str, log: Path, program: str, *arguments: str) -> None:
        self._log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command(user, program, *arguments), cwd=log.parent, stdout=out, stderr=out
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def children(self) -> list[int]:
        """Return the ids of the processes that it has started."""
        said = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in said.split()]

    @staticmethod
    def send_to(pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        """Return the end of its log."""
        return self._log.read_text(errors="replace")[-4000:]

    def await_port(self, port: int, seconds: float = 60) -> None:
        """Wait until it listens."""

        def answers() -> bool:
            assert self.is_running, self.log()
            return listens(port)

        until(answers, seconds, 0.1)

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power failure does."""
        self.send(signal.SIGKILL)
        self._process.wait(20)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and end it if it does not."""
        self.send(signal.SIGCONT)
        self.send(number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
