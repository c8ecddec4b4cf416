"""Tenants cloned from a template: the same user pk and password hash, another schema."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.conftest import ENGINES

from .client import Answer
from .conftest import HERE
from .servers import Database, Server, Site, serve, until


@pytest.fixture(scope="module", params=HERE)
def site(
    request: pytest.FixtureRequest,
    site_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    clone(site_database)
    with serve(site_database, folder, ENGINES[request.param], SITE_TENANTS="1") as site:
        yield site


def clone(database: Database) -> None:
    """Make the schemas a and b as copies of this one; elsewhere both names share the tables."""
    if not database.scheme.startswith("postgres"):
        return
    tables = [
        name
        for (name,) in database.sql("SELECT tablename FROM pg_tables WHERE schemaname='public'")
    ]
    for schema in ("a", "b"):
        with contextlib.closing(database.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            for table in tables:
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {schema}.{table} (LIKE public.{table}"
                    " INCLUDING ALL)"
                )
            connection.commit()


def visit(server: Server, tenant: str, page: str, cookie: str = "", **parameters: str) -> Answer:
    return server.send(page, cookie, {"X-Tenant": tenant}, **parameters)


def users(site: Site, name: str) -> dict[str, str]:
    """Make a user in each schema; their keys are the same where the schemas are real."""
    real = site.database.scheme.startswith("postgres")
    found = {}
    for tenant in ("a", "b"):
        unique = name if real else f"{name}-{tenant}"
        user = visit(site.servers[0], tenant, "new_user", name=unique).user
        assert user is not None
        found[tenant] = user
    if not real:
        found["b"] = found["a"]
    return found


@pytest.mark.requirement("RFC 9700 4.10.2")
def test_cookie_of_one_tenant_opens_nothing_in_the_other(site: Site) -> None:
    here, there = site.servers
    found = users(site, f"cookie-{site.engine}")
    cookie = visit(here, "a", "log_in", user=found["a"]).set_cookie
    assert cookie
    assert visit(there, "a", "whoami", cookie).user == found["a"]
    for server in site.servers:
        answer = visit(server, "b", "whoami", cookie)
        assert answer.user is None
        assert answer.set_cookie is None  # it is good elsewhere
    assert visit(here, "a", "whoami", cookie).user == found["a"]


def test_key_of_one_tenant_opens_nothing_in_the_other(site: Site) -> None:
    here = site.servers[0]
    found = users(site, f"key-{site.engine}")
    cookie = visit(here, "a", "log_in", user=found["a"]).set_cookie
    assert cookie
    key = visit(here, "a", "key", cookie).json["key"]
    assert visit(here, "b", "whoami", key).user is None


def test_end_of_all_of_one_tenant_s_user_is_learned_there_and_not_elsewhere(site: Site) -> None:
    if not site.database.scheme.startswith("postgres"):
        pytest.skip("needs schemas: both tenants share the feed's table here")
    here, there = site.servers
    found = users(site, f"end-{site.engine}")
    cookies = {}
    for tenant in ("a", "b"):
        cookies[tenant] = visit(here, tenant, "log_in", user=found[tenant]).set_cookie or ""
        assert visit(there, tenant, "session", cookies[tenant]).user == found[tenant]
    assert visit(here, "a", "end_all", user=found["a"]).status == 200
    until(lambda: visit(there, "a", "session", cookies["a"]).user is None)
    for server in site.servers:
        assert visit(server, "b", "session", cookies["b"]).user == found["b"]
