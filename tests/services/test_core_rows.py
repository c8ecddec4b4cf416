"""Somebody writes to the table: a changed, swapped or foreign row opens nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import ENGINES

from .client import Jar
from .conftest import DATABASE_URL, logged_in, make_user
from .servers import Database, Site, serve

ROW = "django_jwtsession_session"


@pytest.fixture(scope="module", params=["db", "hybrid"] if DATABASE_URL else ["hybrid"])
def site(
    request: pytest.FixtureRequest,
    site_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The cookie's copy is trusted for no time: each request reads the row."""
    folder = tmp_path_factory.mktemp(request.param)
    with serve(site_database, folder, ENGINES[request.param], {"REVALIDATE_AFTER": 0}) as site:
        yield site


def row_of(site: Site, user: str) -> tuple[Any, bytes]:
    [(pk, data)] = site.database.sql(f"SELECT id, data FROM {ROW} WHERE user_id = %s", int(user))
    return pk, bytes(data)


def write(site: Site, pk: Any, data: bytes) -> None:
    site.database.sql(f"UPDATE {ROW} SET data = %s WHERE id = %s", data, pk)


def opens_nothing(site: Site, jar: Jar) -> bool:
    answers = [server.get("session", jar.cookie) for server in site.servers]
    return all(answer.user is None and answer.json["data"] == {} for answer in answers)


@pytest.mark.parametrize("at", [0, 3, 20, -1])
def test_changed_row_opens_nothing(site: Site, at: int) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    jar.post(site.servers[0], "put", note="a note")
    pk, data = row_of(site, user)
    assert b"a note" not in data
    changed = bytearray(data)
    changed[at] ^= 1
    write(site, pk, bytes(changed))
    assert opens_nothing(site, jar)


def test_swapped_rows_open_nothing(site: Site) -> None:
    users = [make_user(site) for _ in range(2)]
    jars = [logged_in(site.servers[0], user) for user in users]
    (first, mine), (second, theirs) = (row_of(site, user) for user in users)
    write(site, first, theirs)
    write(site, second, mine)
    assert all(opens_nothing(site, jar) for jar in jars)


def test_row_that_was_never_sealed_opens_nothing(site: Site) -> None:
    user, boss = make_user(site), make_user(site)
    jar = logged_in(site.servers[0], user)
    pk, _ = row_of(site, user)
    write(site, pk, b'{"_auth_user_id":"%s","x":1}' % boss.encode())
    assert opens_nothing(site, jar)


def test_user_column_gives_nobody_another_name(site: Site) -> None:
    user, boss = make_user(site), make_user(site)
    jar = logged_in(site.servers[0], user)
    pk, _ = row_of(site, user)
    site.database.sql(f"UPDATE {ROW} SET user_id = %s WHERE id = %s", int(boss), pk)
    for server in site.servers:
        assert server.get("whoami", jar.cookie).user != boss
