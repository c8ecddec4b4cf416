"""The database is stopped and started again while people use the site.

With short windows: a copy is trusted for 1 s, everything known for 2 s more, then pages fail.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ENGINES

from .client import Answer, Jar
from .conftest import logged_in, make_user, needs_database_server
from .postgres import Postgres, postgres
from .servers import Site, serve, until

needs_database_server("postgres")

WINDOW, STALE, POLL = 1.0, 2.0, 0.2
SETTINGS = {
    "REVALIDATE_AFTER": WINDOW,
    "STALE_IF_ERROR": STALE,
    "REVOCATION_POLL": POLL,
    "ROTATE_AFTER": 3,
    "ROTATE_GRACE": 2,
    "SETTLE": 0.5,
}
OUTAGE, OVER = "The database is out of reach", "The database can be read again"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    pytest.importorskip("gunicorn")
    with postgres() as server:
        yield server


class Seen(NamedTuple):
    """A visit: when it began and ended, and what came of it."""

    began: float
    ended: float
    user: str
    answer: Answer


class Load:
    """Users who visit a page all the time, each with a browser of their own."""

    def __init__(self, site: Site, users: list[str], jars: list[Jar]) -> None:
        self.seen: list[Seen] = []
        self.broken: list[BaseException] = []
        self._stop = threading.Event()
        self._site = site
        self._threads = [
            threading.Thread(target=self._visit, args=(n, user, jar))
            for n, (user, jar) in enumerate(zip(users, jars, strict=True))
        ]

    def _visit(self, number: int, user: str, jar: Jar) -> None:
        try:
            while not self._stop.is_set():
                number, began = number + 1, time.monotonic()
                answer = jar.get(self._site.servers[number % 2], "session")
                self.seen.append(Seen(began, time.monotonic(), user, answer))
                time.sleep(0.04)
        except BaseException as error:
            self.broken.append(error)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def between(self, start: float, end: float) -> list[Seen]:
        """Return the visits that lie wholly in a span of time."""
        found = [seen for seen in self.seen if seen.began >= start and seen.ended <= end]
        assert found, "nobody came"
        return found


def statuses(seen: list[Seen]) -> set[int]:
    return {one.answer.status for one in seen}


@pytest.fixture(scope="module")
def site(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("faults")
    with serve(server.database, folder, ENGINES["hybrid"], SETTINGS) as site:
        yield site


def test_outage_is_bridged_then_an_error_then_over(site: Site, server: Postgres) -> None:
    users = [make_user(site) for _ in range(4)]
    jars = [logged_in(site.servers[0], user) for user in users]
    for number, jar in enumerate(jars):
        jar.get(site.servers[0], "put", number=number)
    ended = logged_in(site.servers[0], users[0])
    ended_copy = ended.copy()
    with Load(site, users, jars) as load:
        time.sleep(1.5)
        ended.get(site.servers[0], "log_out")
        time.sleep(0.5)
        began = time.monotonic()
        server.stop()
        stopped = time.monotonic()
        while time.monotonic() < stopped + 1:
            # What is known goes on holding: that a session has ended, too (with nobody to ask
            # whether it lives under another name, that may be an error).
            answer = site.servers[1].get("session", ended_copy.cookie)
            assert answer.status == 500 or answer.user is None
            time.sleep(0.1)
        time.sleep(max(0.0, stopped + 5 - time.monotonic()))
        starting = time.monotonic()
        server.start()
        time.sleep(2.5)
        finished = time.monotonic()

    assert not load.broken
    # Inside the windows all is well: the last answers of the database are at least STALE good.
    assert statuses(load.between(began - 1.5, began + STALE - POLL)) == {200}
    # Beyond them it is an error for everyone: the copies' window, what holds longer, the poll.
    over = stopped + WINDOW + STALE + POLL + 0.3
    assert statuses(load.between(over, starting)) == {500}
    # By itself, within the second.
    assert statuses(load.between(finished - 1.2, finished)) == {200}
    # At no time was anybody somebody else, or nobody, without an error; and no cookie was deleted.
    for seen in load.seen:
        assert seen.answer.status in (200, 500)
        if seen.answer.status == 200:
            assert seen.answer.user == seen.user
        assert seen.answer.set_cookie != ""
    # One record an outage and process, and one when it is over.
    for each in site.servers:
        # A database that is going down may answer once more in between: that is two outages.
        assert 1 <= each.log().count(OUTAGE) <= 2, site.errors()
        assert each.log().count(OVER) == each.log().count(OUTAGE), site.errors()
    for number, (user, jar) in enumerate(zip(users, jars, strict=True)):
        answer = jar.get(site.servers[1], "session", revalidate=1)
        assert (answer.user, answer.json["data"]) == (user, {"number": str(number)})
    assert site.servers[1].get("session", ended_copy.cookie).user is None


def test_short_crash_is_not_noticed_by_pages_that_need_no_database(
    site: Site, server: Postgres
) -> None:
    users = [make_user(site) for _ in range(4)]
    jars = [logged_in(site.servers[0], user) for user in users]
    records = site.logged(OUTAGE)
    with Load(site, users, jars) as load:
        time.sleep(1.0)
        server.stop("immediate")
        time.sleep(0.6)
        server.start()
        time.sleep(1.5)
    assert not load.broken
    assert statuses(load.seen) == {200}, site.errors()
    assert {seen.answer.user == seen.user for seen in load.seen} == {True}
    # Each process says so once more, or twice where the server answered in between.
    assert records + 2 <= site.logged(OUTAGE) <= records + 4


def test_process_that_starts_without_its_database_lets_nobody_in_and_recovers(
    site: Site, server: Postgres, tmp_path: Path
) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    server.stop()
    try:
        with serve(
            server.database, tmp_path / "new", ENGINES["hybrid"], SETTINGS, ("gthread",)
        ) as new:
            [fresh] = new.servers
            for _ in range(5):
                assert fresh.get("session", jar.cookie).status == 500
                assert fresh.get("ping").status == 200  # pages without a session go on
            assert 1 <= fresh.log().count(OUTAGE) <= 2
            server.start()
            until(lambda: fresh.get("session", jar.cookie).status == 200, 3)
            assert fresh.get("session", jar.cookie).user == user
    finally:
        try:
            server.stop()
        finally:
            server.start()


def test_write_during_an_outage_is_an_error_and_nothing_is_lost(
    site: Site, server: Postgres
) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    jar.get(site.servers[0], "put", kept="1")
    server.stop()
    try:
        before = jar.cookie
        assert jar.get(site.servers[1], "put", lost="1").status == 500
        assert jar.cookie == before
    finally:
        server.start()
    answer = until(
        lambda: (a := jar.get(site.servers[1], "session", revalidate=1)).status == 200 and a, 3
    )
    assert (answer.user, answer.json["data"]) == (user, {"kept": "1"})


def test_cookie_engine_trusts_its_last_answer_for_a_while_and_then_no_cookie(
    server: Postgres, tmp_path: Path
) -> None:
    """It has nothing but the feed to tell it who was logged out."""
    with serve(server.database, tmp_path / "cookie", ENGINES["cookie"], SETTINGS) as site:
        user = make_user(site)
        jar = logged_in(site.servers[0], user)
        page = site.servers[1]
        assert page.get("session", jar.cookie).user == user
        began = time.monotonic()
        server.stop()
        try:
            while time.monotonic() < began + STALE - POLL:
                assert page.get("session", jar.cookie).user == user
                time.sleep(0.05)
            until(lambda: page.get("session", jar.cookie).status == 500, 2 * POLL + 1)
            for _ in range(3):
                assert page.get("session", jar.cookie).status == 500
        finally:
            server.start()
        until(lambda: page.get("session", jar.cookie).status == 200, 2)
        assert page.get("session", jar.cookie).user == user
        assert 1 <= page.log().count(OUTAGE) <= 2
