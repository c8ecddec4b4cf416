"""MAX_SESSIONS_PER_USER under parallel logins."""

from __future__ import annotations

import pytest

from tests.conftest import ENGINES

from .client import Jar, together
from .conftest import logged_in, make_user, needs_database_server
from .servers import Database, Site, serve, until

needs_database_server()

LIMIT = 3


@pytest.mark.parametrize("engine", ["db", "hybrid"])
@pytest.mark.requirement("ASVS 7.1.2")
def test_exactly_the_limit_remains_after_parallel_logins(
    engine: str, site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {"MAX_SESSIONS_PER_USER": LIMIT}
    folder = tmp_path_factory.mktemp(engine)
    with serve(site_database, folder, ENGINES[engine], settings) as site:
        user, bystander = make_user(site), make_user(site)
        other = logged_in(site.servers[0], bystander)
        jars = together(20, lambda number: logged_in(site.servers[number % 2], user))

        def logged_in_now(server: int) -> list[Jar]:
            return [j for j in jars if site.servers[server].get("session", j.cookie).user == user]

        for server in (0, 1):
            until(lambda server=server: len(logged_in_now(server)) <= LIMIT)
            assert len(logged_in_now(server)) == LIMIT
        assert logged_in_now(0) == logged_in_now(1)
        assert rows(site, user) == LIMIT
        # One more: the oldest of them ends, the new one does not.
        latest = logged_in(site.servers[1], user)
        until(lambda: len(logged_in_now(0)) == LIMIT - 1)
        assert site.servers[0].get("session", latest.cookie).user == user
        assert site.servers[0].get("session", other.cookie).user == bystander


def rows(site: Site, user: str) -> int:
    """Return how many rows the user has."""
    statement = "SELECT count(*) FROM django_jwtsession_session WHERE user_id = %s"
    [(number,)] = site.database.sql(statement, int(user))
    return int(number)
