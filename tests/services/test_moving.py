"""Two server processes and 20 clients: moved by a restart, moved back, and nobody is signed out.

By hand with 10,000 sessions: ``python -m tests.services.moving ENGINE``; see docs/moving.md.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ENGINES
from tests.moving.conftest import DB, SIGNED, USERS, old_of

from . import servers
from .client import Jar
from .conftest import DATABASE_URL, SEVERAL_NODES
from .core import number_of
from .moving import Deployed, make_sessions, move_and_back, phases

TABLES = {DB: "django_session", USERS: "user_sessions_session"}
OURS = ENGINES["hybrid"]  # tests/moving has them all, in one process
NUMBER = 20
# What a move asks of a database it asks of each: on MariaDB the engine that all know is enough.
OLD = [DB] if DATABASE_URL.startswith("mysql") else [DB, SIGNED, USERS]
if SEVERAL_NODES:
    OLD.append(SIGNED)


def meets(old: str, deploy: list[Deployed]) -> bool:
    """Tell whether a server without us may answer 400, because two writes of one row have met."""
    return SEVERAL_NODES and old == DB and (old, {}) in deploy


@pytest.mark.parametrize("old", OLD)
def test_site_is_moved_and_moved_back_and_nobody_is_signed_out(
    site_database: servers.Database, tmp_path: Path, old: str
) -> None:
    old_of(old)
    if old in TABLES:  # what other tests have left
        site_database.sql(f"DELETE FROM {TABLES[old]}")
    browsers = make_sessions(site_database, old, tmp_path, NUMBER, users=7)
    deploys, moved = phases(old, OURS, 0.5), {}
    del deploys["before"]
    for name, load in move_and_back(site_database, tmp_path, deploys, browsers):
        met = load.bad.get("failed: 400", 0) if meets(old, deploys[name]) else 0
        assert load.bad == ({"failed: 400": met} if met else {}), name
        assert load.found["fine"] == NUMBER * 4 - met
        assert met <= NUMBER
        moved[name] = load.ours
    assert (moved["rolling"], moved["moved"], moved["after"]) == (0, NUMBER, 0)
    assert moved["told"] == NUMBER
    assert moved["canary"] < NUMBER or old == SIGNED
    assert moved["canary"] > 0 or old == SIGNED  # whose 7 users may fall on one side
    assert len({browser.cookie for browser in browsers}) == NUMBER
    if old in TABLES:
        [(count,)] = site_database.sql(f"SELECT count(*) FROM {TABLES[old]}")
        assert count == NUMBER


@pytest.mark.parametrize("old", OLD)
def test_first_requests_at_once_make_one_session(
    site_database: servers.Database, tmp_path: Path, old: str
) -> None:
    old_of(old)
    browsers = make_sessions(site_database, old, tmp_path, 6, users=6)
    with servers.serve(site_database, tmp_path, OURS, {"MIGRATE_FROM": old}) as site:
        for browser in browsers:
            before = number_of(site, "session")
            with ThreadPoolExecutor(8) as pool:
                asked = [
                    pool.submit(site.servers[each % 2].get, "session", browser.cookie)
                    for each in range(8)
                ]
                answers = [each.result() for each in asked]
            assert {answer.user for answer in answers} == {browser.user}
            assert len({answer.json["sid"] for answer in answers}) == 1
            cookies = [answer.set_cookie for answer in answers if answer.set_cookie]
            assert len(cookies) == 8
            assert number_of(site, "session") - before == 1
            for cookie in cookies:
                assert Jar(cookie).get(site.servers[0], "session").user == browser.user
            last = Jar(cookies[-1])
            last.get(site.servers[1], "log_out")
            for server in site.servers:
                assert server.get("session", browser.cookie).user is None
