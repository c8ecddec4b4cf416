"""Run a command with DATABASE_URL at HAProxy, which shares out three Galera nodes; Redis beside it.

python -m tests.cluster.through_haproxy python -m pytest tests/services
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from .front import haproxy, redis
from .galera import galera, is_installed
from .processes import found


def main(command: list[str]) -> int:
    """Return the command's exit code, 0 where there is no Galera to run it on."""
    if os.getuid() != 0 or not is_installed() or not all(map(found, ("haproxy", "redis-server"))):
        print("SKIPPED: needs root, mariadb-server, galera-4, haproxy and redis-server")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of what stops the nodes
    with galera() as nodes, haproxy([node.port for node in nodes]) as port, redis() as cache:
        url = f"mysql://root@127.0.0.1:{port}/jwtsession"
        env = os.environ | {"DATABASE_URL": url, "REDIS_URL": cache.url, "SEVERAL_NODES": "1"}
        return subprocess.run(command, env=env).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
