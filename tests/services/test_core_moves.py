"""Two engines side by side on one database, as during a rolling deploy; and one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.conftest import ENGINES

from .client import Jar
from .conftest import HERE, logged_in, make_user
from .core import accused
from .servers import Database, Server, Site, serve, until

PAIRS = list(itertools.permutations(HERE, 2)) or [("cookie", "hybrid"), ("hybrid", "cookie")]


class Deploy(NamedTuple):
    """A server of the old engine and one of the new."""

    site: Site
    old: Server
    new: Server
    with_cookie: bool


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def deploy(
    request: pytest.FixtureRequest,
    site_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deploy]:
    old, new = request.param
    folder = tmp_path_factory.mktemp
    with (
        serve(site_database, folder("old"), ENGINES[old], kinds=("gthread",)) as site,
        serve(site_database, folder("new"), ENGINES[new], kinds=("gthread",)) as other,
    ):
        yield Deploy(site, site.servers[0], other.servers[0], "cookie" in request.param)


@pytest.fixture
def jar(deploy: Deploy) -> Jar:
    """Logged in on the old server, and seen by the new one."""
    user = make_user(deploy.site)
    jar = logged_in(deploy.old, user)
    assert jar.get(deploy.new, "whoami").user == user
    return jar


def until_out(deploy: Deploy, jar: Jar) -> None:
    for server in (deploy.old, deploy.new):
        until(lambda server=server: server.get("session", jar.cookie).user is None)


def test_logout_on_one_is_a_logout_on_the_other(deploy: Deploy) -> None:
    user = make_user(deploy.site)
    for first, second in ((deploy.old, deploy.new), (deploy.new, deploy.old)):
        jar = logged_in(first, user)
        copies = [jar.copy()]
        assert jar.get(second, "whoami").user == user
        copies.append(jar.copy())
        jar.get(first, "log_out")
        for copy in copies:
            until_out(deploy, copy)


def test_copy_from_before_a_proof_is_out_on_both(deploy: Deploy, jar: Jar) -> None:
    copy = jar.copy()
    assert jar.post(deploy.new, "prove").status == 200
    until_out(deploy, copy)
    jar.get(deploy.new, "log_out")
    until_out(deploy, copy)


def test_writes_in_turns_are_kept_where_both_have_rows(deploy: Deploy, jar: Jar) -> None:
    """Beside `cookie` they cannot be, and the docs say which engines may run side by side."""
    for number in range(6):
        server = deploy.new if number % 2 else deploy.old
        assert jar.post(server, "put", **{f"k{number}": "1"}).status == 200
    if deploy.with_cookie:
        return
    for server in (deploy.old, deploy.new):
        data = jar.post(server, "session").json["data"]
        assert sorted(data) == [f"k{number}" for number in range(6)]


def test_nobody_is_accused_by_going_to_and_fro(deploy: Deploy, jar: Jar) -> None:
    user = jar.get(deploy.old, "whoami").user
    for number in range(8):
        answer = jar.get(deploy.new if number % 2 else deploy.old, "whoami")
        assert answer.user == user
    assert user is not None
    assert accused(deploy.site, user) == 0
