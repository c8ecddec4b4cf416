"""The feed in each kind of server process; transactions that commit late; a clock that is off."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENGINES

from .client import Jar, together
from .conftest import logged_in, make_user, needs_database_server
from .servers import Database, Server, Site, serve, until

needs_database_server()

WITHIN = 1.5


@pytest.fixture
def served(site_database: Database, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Serve the site: `served("sync")`, `served("gthread", engine="cookie", clocks=(10.0,))`."""
    with contextlib.ExitStack() as stack:

        def start(
            *kinds: str, engine: str = "hybrid", clocks: tuple[float, ...] = (0.0, 0.0)
        ) -> Site:
            site = serve(site_database, tmp_path, ENGINES[engine], {}, kinds, clocks)
            return stack.enter_context(site)

        yield start


def workers_that_see(server: Server, jar: Jar, count: int) -> dict[int, str | None]:
    """Return the user that each of `count` worker processes sees, by its pid."""
    found: dict[int, str | None] = {}
    with ThreadPoolExecutor(4) as pool:

        def enough() -> bool:
            # Several at once, or one worker takes them all.
            for answer in pool.map(lambda _: server.get("session", jar.cookie), range(4)):
                found[answer.json["pid"]] = answer.user
            return len(found) >= count

        until(enough)
    return found


@pytest.mark.parametrize(
    ("kind", "workers"), [("sync", 2), ("gthread-2", 2), ("preload", 2), ("uvicorn", 1)]
)
def test_every_worker_refuses_an_ended_session_within_the_second(
    served: Callable[..., Site], kind: str, workers: int
) -> None:
    site = served(kind)
    [server] = site.servers
    user = make_user(site)
    jar = logged_in(server, user)
    assert set(workers_that_see(server, jar, workers).values()) == {user}
    sid = server.get("session", jar.cookie).json["sid"]
    server.get("end_session", sid=sid)
    ended_at = time.monotonic()
    while time.monotonic() < ended_at + WITHIN:
        if not any(workers_that_see(server, jar, workers).values()):
            break
        time.sleep(0.05)
    assert set(workers_that_see(server, jar, workers).values()) == {None}
    if kind == "uvicorn":
        assert server.get("asession", jar.cookie).user is None
    assert site.logged("ERROR") == 0, site.errors()


def test_first_requests_of_a_new_process_are_all_answered(served: Callable[..., Site]) -> None:
    """A browser's parallel requests, the first that this process gets: none is refused for want
    of the feed's first answer."""
    site = served("gthread")
    [server] = site.servers
    answers = together(12, lambda number: server.get("put", "", key=number))
    assert {answer.status for answer in answers} == {200}
    cookies = [answer.set_cookie for answer in answers]
    answers = together(12, lambda number: server.get("session", cookies[number] or ""))
    assert [answer.status for answer in answers] == [200] * 12, site.errors()
    assert [answer.json["data"] for answer in answers] == [{"key": str(n)} for n in range(12)]


def test_async_page_reads_the_session_under_uvicorn(served: Callable[..., Site]) -> None:
    site = served("uvicorn", "gthread")
    server, other = site.servers
    user = make_user(site)
    jar = logged_in(other, user)
    answers = together(8, lambda _: server.get("asession", jar.cookie))
    assert {answer.user for answer in answers} == {user}
    jar.get(other, "log_out")
    jar = logged_in(other, user)
    sid = other.get("session", jar.cookie).json["sid"]
    other.get("end_session", sid=sid)
    until(lambda: server.get("asession", jar.cookie).user is None, WITHIN)


def insert_late(database: Database, sid: str, age: float) -> Any:
    """Return an open transaction that has inserted an entry `age` seconds ago."""
    connection = database.connect()
    now = time.time()
    connection.cursor().execute(
        "INSERT INTO django_jwtsession_revocation"
        " (kind, name, keep_sid, reason, created_at, expires_at)"
        " VALUES ('s', %s, '', 'late', %s, %s)",
        (sid, now - age, now + 3600),
    )
    return connection


def test_entry_of_a_transaction_that_commits_late_is_found(served: Callable[..., Site]) -> None:
    """Others were written and read meanwhile: it lies in the past when it appears.

    With the cookie engine, which has nothing but the feed.
    """
    site = served("gthread", engine="cookie")
    [server] = site.servers
    user = make_user(site)
    jar, other = logged_in(server, user), logged_in(server, user)
    sid = server.get("session", jar.cookie).json["sid"]
    with contextlib.closing(insert_late(site.database, sid, 8)) as transaction:
        server.get("end_session", sid=server.get("session", other.cookie).json["sid"])
        until_polled = time.monotonic() + 1.1
        while time.monotonic() < until_polled:
            assert server.get("session", jar.cookie).user == user
            time.sleep(0.1)
        transaction.commit()
        until(lambda: server.get("session", jar.cookie).user is None, WITHIN)


@pytest.mark.parametrize("off", [10.0, -10.0])
def test_server_whose_clock_is_ten_seconds_off_works_beside_the_other(
    served: Callable[..., Site], off: float
) -> None:
    site = served("gthread", "gthread", clocks=(0.0, off))
    for right, wrong in (site.servers, site.servers[::-1]):
        user = make_user(site)
        jar = logged_in(right, user)
        elsewhere = logged_in(wrong, user)
        for number in range(4):
            assert jar.get(wrong, "put", **{f"w{number}": 1}).status == 200
            assert jar.get(right, "put", **{f"r{number}": 1}).status == 200
        for server in (wrong, right):
            assert server.get("session", elsewhere.cookie).user == user
            answer = jar.get(server, "session")
            assert (answer.user, len(answer.json["data"])) == (user, 8)
        copy = jar.copy()
        # "Log out everywhere else" on either, kept on the other.
        sid = jar.get(wrong, "session").json["sid"]
        right.get("end_all", user=user, keep=sid)
        until(lambda e=elsewhere, w=wrong: w.get("session", e.cookie).user is None, WITHIN)
        assert jar.get(wrong, "session").user == user
        jar.get(right, "log_out")
        until(lambda c=copy, w=wrong: w.get("session", c.cookie).user is None, WITHIN)
        assert logged_in(wrong, user).get(right, "session").user == user
