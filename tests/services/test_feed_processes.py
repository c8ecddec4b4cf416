"""The feed in each kind of server process; transactions that commit late; a clock that is off."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENGINES

from .client import Jar, Running, together
from .conftest import logged_in, make_user, needs_database_server
from .core import sid_of
from .servers import Database, Server, Site, serve, until

needs_database_server()

WITHIN = 4.0  # a second on a machine that does nothing else


@pytest.fixture
def served(site_database: Database, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Serve the site: `served("sync")`, `served("gthread", engine="cookie", clocks=(10.0,))`."""
    with contextlib.ExitStack() as stack:

        def start(
            *kinds: str,
            engine: str = "hybrid",
            clocks: tuple[float, ...] = (0.0, 0.0),
            **jwtsession: Any,
        ) -> Site:
            site = serve(site_database, tmp_path, ENGINES[engine], jwtsession, kinds, clocks)
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
@pytest.mark.requirement("ASVS 7.4.1")
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
        site.learn()
        assert server.get("session", jar.cookie).user == user
        transaction.commit()
        until(lambda: server.get("session", jar.cookie).user is None, WITHIN)


def test_lines_that_say_they_are_of_another_time_make_nobody_deaf(
    served: Callable[..., Site],
) -> None:
    """A database server 20 minutes ahead wrote once; another, that takes over, is 14 s behind."""
    site = served("gthread", engine="cookie")
    [server] = site.servers
    user = make_user(site)
    for age in (-1200, 14):
        jars = [logged_in(server, user) for _ in range(3)]
        for jar in jars:
            with contextlib.closing(insert_late(site.database, sid_of(site, jar), age)) as line:
                line.commit()
            until(lambda jar=jar: server.get("session", jar.cookie).user is None, WITHIN)
        other = logged_in(server, user)
        server.get("end_session", sid=sid_of(site, other))
        until(lambda jar=other: server.get("session", jar.cookie).user is None, WITHIN)


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


@pytest.mark.parametrize("engine", ["cookie", "hybrid"])
def test_end_that_is_rolled_back_ends_nothing_in_any_process(
    served: Callable[..., Site], engine: str
) -> None:
    site = served("gthread", "gthread", engine=engine)
    server, other = site.servers
    user = make_user(site)
    jar = logged_in(server, user)
    sid = server.get("session", jar.cookie).json["sid"]
    assert server.get("end_in_vain", sid=sid).status == 200
    for _ in range(2):
        assert [each.get("session", jar.cookie).user for each in (server, other)] == [user, user]
        site.learn()


def test_end_whose_transaction_takes_six_seconds_counts_from_its_commit(
    served: Callable[..., Site],
) -> None:
    """More than others look back for is written again."""
    site = served("gthread", "gthread", engine="cookie")
    server, other = site.servers
    user = make_user(site)
    jar = logged_in(server, user)
    sid = server.get("session", jar.cookie).json["sid"]
    slow = Running(lambda: server.get("end_slowly", sid=sid, seconds=6))
    time.sleep(3)
    assert [each.get("session", jar.cookie).user for each in (server, other)] == [user, user]
    assert slow.answer().status == 200
    assert server.get("session", jar.cookie).user is None
    until(lambda: other.get("session", jar.cookie).user is None, WITHIN)
    [[lines]] = site.database.sql(
        "SELECT count(*) FROM django_jwtsession_revocation WHERE name = %s", sid
    )
    assert lines == 2


def test_end_all_login_end_all_on_servers_whose_clocks_differ(
    served: Callable[..., Site],
) -> None:
    site = served("gthread", "gthread", engine="cookie", clocks=(5.0, -5.0))
    for ahead, behind in (site.servers, site.servers[::-1]):
        user = make_user(site)
        ahead.get("end_all", user=user)
        jar = logged_in(behind, user)
        assert jar.get(ahead, "session").user == user
        again = logged_in(ahead, user)
        behind.get("end_all", user=user)
        for cookie in (jar.cookie, again.cookie):
            for server in site.servers:
                until(
                    lambda server=server, cookie=cookie: server.get("session", cookie).user is None,
                    WITHIN,
                )


def test_ends_reach_all_processes_through_redis(served: Callable[..., Site]) -> None:
    if "REDIS_URL" not in os.environ:
        pytest.skip("needs a REDIS_URL")
    kinds, clocks = ("sync", "gthread", "uvicorn"), (0.0, 0.0, 0.0)
    site = served(*kinds, engine="cookie", clocks=clocks, REVOCATION_CACHE="default")
    server = site.servers[0]
    user = make_user(site)
    for _ in range(3):
        jar = logged_in(server, user)
        for each in site.servers:
            assert each.get("session", jar.cookie).user == user
        server.get("end_session", sid=server.get("session", jar.cookie).json["sid"])
        for each in site.servers:
            until(lambda each=each, jar=jar: each.get("session", jar.cookie).user is None, WITHIN)
    assert site.logged("cannot be used") == 0, site.errors()
