"""What browsers do to cookies, and time to secrets: nobody is signed out, nobody accused."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from tests.conftest import ENGINES

from .client import Jar
from .conftest import HERE, logged_in, make_user
from .core import accused, is_in
from .servers import Database, Site, serve

HOUR = 3600
FILE = 30  # seconds after which Chromium writes a cookie to its file
OLD = "the secret key of today, which has more than thirty-two bytes"
NEW = "the secret key of tomorrow, which has more than thirty-two bytes"


@pytest.mark.parametrize("killed", [30, 60, 90])
def test_browser_that_was_killed_across_a_rotation_is_no_thief(
    killed: int, site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It comes back with its cookie file, which is as old as it can be; each page writes."""
    with serve(site_database, tmp_path_factory.mktemp("killed"), ENGINES["hybrid"]) as site:
        user = make_user(site)
        jar = logged_in(site.servers[0], user)
        site.shift(HOUR + 1)
        held = []
        for number in range(killed // 5 + 1):
            held.append(jar.cookie)
            jar.post(site.servers[number % 2], "put", visits=str(number))
            site.shift(5)
        back = Jar(held[max(0, len(held) - 1 - FILE // 5)])
        site.shift(2 * HOUR)
        assert is_in(site, back, user)
        site.shift(61)
        assert is_in(site, back, user)
        assert accused(site, user) == 0


@pytest.mark.parametrize("engine", HERE)
def test_visitor_who_only_reads_outlives_the_removal_of_a_secret(
    engine: str, site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Rows and tokens are under the newest secret once the session was extended."""
    later = 390.0  # of 600 seconds

    def served(secret: str, fallback: str = "", clock: float = 0.0) -> AbstractContextManager[Site]:
        folder, clocks = tmp_path_factory.mktemp("secrets"), (clock, clock)
        return serve(
            site_database,
            folder,
            ENGINES[engine],
            clocks=clocks,
            SITE_AGE="600",
            SITE_SECRET=secret,
            SITE_FALLBACK=fallback,
        )

    def sees(site: Site) -> bool:
        """Without a look at the user, whose hash would be stored anew."""
        return all(jar.get(server, "session").user == user for server in site.servers)

    with served(OLD) as site:
        user = make_user(site)
        jar = logged_in(site.servers[0], user)
    with served(NEW, OLD) as site:
        assert sees(site)
        site.shift(later)
        assert sees(site)
    with served(NEW, clock=later + 20) as site:
        assert sees(site)
