"""Parallel writes to one session through two server processes: nothing that was written is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import ENGINES

from .client import Answer, Jar, Running, together
from .conftest import logged_in, make_user, needs_database_server
from .servers import Database, Site, serve

needs_database_server()

THREADS, WRITES = 20, 50


@pytest.fixture(scope="module", params=["db", "hybrid"])
def site(
    request: pytest.FixtureRequest,
    site_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    with serve(site_database, folder, ENGINES[request.param]) as site:
        yield site


def write_all(site: Site, jar: Jar, threads: int = THREADS, writes: int = WRITES) -> list[int]:
    """Write different keys in threads, the servers in turn; return the numbers of failed pages."""

    def work(number: int) -> int:
        failed = 0
        for turn in range(writes):
            server = site.servers[(number + turn) % 2]
            failed += jar.get(server, "put", **{f"k{number}.{turn}": turn}).status != 200
        return failed

    return together(threads, work)


def data_of(site: Site, jar: Jar) -> dict[str, object]:
    """Return what is in the session, whatever a copy says; both processes say the same."""
    found, other = (jar.get(s, "session", revalidate=1).json["data"] for s in site.servers)
    assert found == other
    data: dict[str, object] = found
    return data


def test_all_of_a_thousand_writes_of_twenty_threads_are_there(site: Site) -> None:
    jar = logged_in(site.servers[0], make_user(site))
    assert sum(write_all(site, jar)) == 0, site.errors()
    assert data_of(site, jar) == {
        f"k{number}.{turn}": str(turn) for number in range(THREADS) for turn in range(WRITES)
    }
    assert jar.get(site.servers[0], "session").user is not None


def test_all_writes_are_there_while_the_cookie_has_room_for_a_copy(site: Site) -> None:
    """Above most of the data is too big for one."""
    jar = Jar()
    jar.get(site.servers[0], "put", first="1")
    assert sum(write_all(site, jar, 8, 8)) == 0, site.errors()
    assert len(data_of(site, jar)) == 1 + 64


def test_of_parallel_writes_of_the_same_key_one_wins_and_nothing_else_is_harmed(site: Site) -> None:
    jar = Jar()
    jar.get(site.servers[0], "put", other="1", nested="2")

    def work(number: int) -> Answer:
        return jar.get(site.servers[number % 2], "put", same=number, **{f"own{number}": number})

    assert {answer.status for answer in together(16, work)} == {200}
    data = data_of(site, jar)
    assert data.pop("same") in {str(number) for number in range(16)}
    assert data == {"other": "1", "nested": "2"} | {f"own{n}": str(n) for n in range(16)}


PUT, REMOVE, APPEND = ("put", {"y": "2"}), ("remove", {"key": "x"}), ("append", {"value": "late"})


@pytest.mark.parametrize(
    ("slow", "fast", "after"),
    [
        (("put", {"x": "slow"}), ("put", {"x": "fast"}), {"x": "slow"}),
        (REMOVE, PUT, {"y": "2"}),
        (PUT, REMOVE, {"y": "2"}),
        (APPEND, PUT, {"x": "1", "y": "2", "basket": {"items": ["first", "late"]}}),
        (PUT, APPEND, {"x": "1", "y": "2", "basket": {"items": ["first", "late"]}}),
        (APPEND, REMOVE, {"basket": {"items": ["first", "late"]}}),
        (REMOVE, ("put", {"x": "fast"}), {}),
    ],
    ids=["same key", "delete, write", "write, delete", "in place, write", "write, in place",
         "in place, delete", "delete, write of the same"],
)  # fmt: skip
def test_request_that_read_before_another_wrote_keeps_what_it_did_not_change(
    site: Site,
    slow: tuple[str, dict[str, str]],
    fast: tuple[str, dict[str, str]],
    after: dict[str, object],
    request: pytest.FixtureRequest,
) -> None:
    here, there = site.servers
    jar = Jar()
    jar.get(here, "put", x="1")
    if "basket" in after:
        jar.get(here, "append", value="first")
    gate = str(abs(hash(request.node.nodeid)))
    cookie = jar.cookie
    # By POST, which reads the row: what a GET stores under a key that its copy has an old value of
    # is dropped, see tests/backends/test_who_writes_reads_first.py.
    running = Running(lambda: there.post(slow[0], cookie, gate=gate, **slow[1]))
    site.reached(gate)
    try:
        assert jar.get(here, fast[0], **fast[1]).status == 200
    finally:
        site.open(gate)
    answer = running.answer()
    assert answer.status == 200
    jar.keep(answer)
    assert data_of(site, jar) == after


def test_what_djangos_database_engine_keeps_of_the_thousand(
    site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The figure in the docs; it says that the script above would notice a loss."""
    engine = "django.contrib.sessions.backends.db"
    with serve(site_database, tmp_path_factory.mktemp("django"), engine) as site:
        jar = Jar()
        jar.get(site.servers[0], "put", first="1")
        write_all(site, jar)
        kept = len(jar.get(site.servers[0], "session").json["data"]) - 1
    print(f"\ndjango.contrib.sessions.backends.db kept {kept} of {THREADS * WRITES} writes")
    assert kept < THREADS * WRITES
