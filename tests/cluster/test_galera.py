"""Three Galera nodes and two processes on each: a mixed load, and nodes that die and come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.client import Jar, Running
from tests.services.servers import until

from .galera import Node, galera, is_installed
from .load import Visitors
from .processes import needs_cluster
from .record import Fault, Record
from .sites import SECONDS, SETTINGS, logs, prove, serve

needs_cluster("mariadbd", "haproxy")
pytest.importorskip("MySQLdb")

SEED = 15
STALE = SETTINGS["STALE_IF_ERROR"]
TIMES = {"connect_timeout": 2, "read_timeout": 8, "write_timeout": 8}
# Seconds that a node's processes have for finding it again.
RECOVERY = 4.0


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    if not is_installed():
        pytest.skip("needs galera-4")
    with galera() as nodes:
        nodes[0].database.create()
        yield nodes


@pytest.mark.parametrize("engine", ["db", "hybrid"])
def test_promises_hold_on_three_nodes(nodes: list[Node], engine: str, tmp_path: Path) -> None:
    databases = [node.database for node in nodes for _ in range(2)]
    record = Record()
    with serve(databases, tmp_path, engine, more={"OPTIONS": TIMES}) as servers:
        with Visitors(servers, record, SEED) as visitors:
            time.sleep(SECONDS)
        visitors.look_at_all()
        assert not visitors.broken
        prove(f"three Galera nodes, two processes on each, `{engine}`", record, databases[0])
        assert len(record.writes) > 100, logs(servers)


def test_checker_finds_that_conflicts_are_not_tried_again(
    nodes: list[Node], tmp_path: Path
) -> None:
    """Without it, writes that meet on two nodes are errors that people see."""
    databases = [node.database for node in nodes]
    record = Record()
    more = {"OPTIONS": TIMES}
    with serve(databases, tmp_path, "db", more=more, SITE_BREAK="retries") as servers:
        with Visitors(servers, record, SEED, 4, tabs=16) as visitors:
            time.sleep(SECONDS)
        assert not visitors.broken
    with pytest.raises(AssertionError, match="status 500"):
        prove("broken on purpose: conflicts are not tried again (Galera)", record, databases[0])


@pytest.mark.parametrize("question", ["feed", "session"])
def test_transaction_that_another_node_has_undone_is_an_error_also_if_only_we_hear_of_it(
    nodes: list[Node], question: str, tmp_path: Path
) -> None:
    """Who went on after it would write into a new one: half of the view's work would be there."""
    with serve([nodes[0].database], tmp_path, "hybrid", more={"OPTIONS": TIMES}) as [site]:
        user, jar = site.get("new_user", name=f"undone by a {question}").user, Jar()
        jar.get(site, "log_in", user=user)
        more = {"user": user, "question": question, "between": question}
        page = Running(lambda: jar.post(site, "write_around", b"", **more))
        until((tmp_path / f"{question}.reached").exists)
        nodes[1].database.sql("UPDATE auth_user SET first_name = 'other' WHERE id = %s", user)
        (tmp_path / f"{question}.open").touch()
        assert page.answer().status == 500, site.log()
        assert "has to run it again" in site.log()
        names = "SELECT first_name, last_name FROM auth_user WHERE id = %s"
        assert nodes[2].database.sql(names, user) == [("other", "")]


def test_promises_hold_while_nodes_die_and_come_back(nodes: list[Node], tmp_path: Path) -> None:
    databases = [node.database for node in nodes for _ in range(2)]
    record = Record()
    with serve(databases, tmp_path, "hybrid", more={"OPTIONS": TIMES}) as servers:
        with Visitors(servers, record, SEED) as visitors:
            time.sleep(6)
            visitors.down = {2, 3}
            began = time.monotonic()
            assert nodes[1].program is not None
            nodes[1].program.kill()
            time.sleep(8)
            nodes[1].start_again()
            time.sleep(RECOVERY)
            record.note(Fault(frozenset({2, 3}), began, time.monotonic()))
            visitors.down = set()
            time.sleep(6)
            visitors.down = {4, 5}
            began = time.monotonic()
            nodes[2].cut_off()
            time.sleep(8)
            back_at, losses = time.monotonic(), nodes[0].losses()
            nodes[2].let_back()
            time.sleep(RECOVERY)
            record.note(Fault(frozenset({4, 5}), began, time.monotonic()))
            if nodes[0].losses() > losses:
                # Galera's own: as it takes the third back, all three at times lose one another.
                record.note(Fault(frozenset(range(6)), back_at, time.monotonic()))
            visitors.down = set()
            time.sleep(6)
        visitors.look_at_all()
        assert not visitors.broken
        prove(
            "three Galera nodes, `hybrid`; one killed and let back, another cut off and let back",
            record,
            databases[0],
            hold=STALE,
        )
