"""The database of a run, the sites on it, and visitors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.conftest import ENGINES

from . import servers
from .client import Jar

DATABASE_URL = os.environ.get("DATABASE_URL", "")
# DATABASE_URL is several nodes that are written to, as tests/cluster/through_haproxy.py says.
SEVERAL_NODES = bool(os.environ.get("SEVERAL_NODES"))


def needs_database_server(scheme: str = "") -> None:
    """Skip the module that calls this where DATABASE_URL names no server (of that kind)."""
    if not DATABASE_URL or not DATABASE_URL.startswith(scheme):
        pytest.skip(f"needs a DATABASE_URL {scheme}".strip(), allow_module_level=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start servers."""
    for item in items:
        if "site_database" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.processes)


@pytest.fixture(scope="session")
def site_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Database]:
    """A database that the server processes share."""
    pytest.importorskip("gunicorn")
    pytest.importorskip("uvicorn")
    with servers.database(DATABASE_URL, tmp_path_factory.mktemp("database")) as database:
        yield database


# All engines on PostgreSQL. On MariaDB those with rows: without them there is but the feed, and
# test_feed_processes.py asks it on each database. On a SQLite file one is thorough enough.
HERE = ["hybrid"] if not DATABASE_URL else ["db", "hybrid"]
HERE = list(ENGINES) if DATABASE_URL.startswith("postgres") else HERE
KINDS = [*HERE, "hybrid, uvicorn"] if "cookie" in HERE else HERE


@pytest.fixture(scope="module", params=KINDS)
def site(
    request: pytest.FixtureRequest,
    site_database: servers.Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[servers.Site]:
    """Two server processes with default settings, for each engine in turn, and under ASGI."""
    engine, _, kind = request.param.partition(", ")
    folder = tmp_path_factory.mktemp(engine)
    kinds = (kind or "gthread",) * 2
    with servers.serve(site_database, folder, ENGINES[engine], kinds=kinds) as site:
        yield site


@pytest.fixture
def new_user(site: servers.Site) -> str:
    """A new user's id."""
    return make_user(site)


def make_user(site: servers.Site) -> str:
    user = site.servers[0].get("new_user", name=uuid4().hex).user
    assert user is not None
    return user


def logged_in(server: servers.Server, user: str, jar: Jar | None = None) -> Jar:
    """Return a browser in which the user is logged in."""
    jar = jar or Jar()
    assert jar.get(server, "log_in", user=user).user == user
    assert jar.cookie
    return jar
