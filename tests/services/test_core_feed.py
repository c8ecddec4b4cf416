"""What every process learns within the second, and what none may believe: the feed, thinly.

The feed's own tests go deeper into marks, clocks and places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.conftest import ENGINES

from .conftest import HERE, logged_in, make_user
from .core import is_in, is_over, number_of, sid_of
from .servers import Database, Site, serve


@pytest.fixture(scope="module")
def served(
    site_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    """Serve a site, the same to all who ask for the same."""
    with ExitStack() as stack:

        @cache
        def start(engine: str, clocks: tuple[float, float] = (0.0, 0.0), **more: str) -> Site:
            folder = tmp_path_factory.mktemp(engine)
            served = serve(site_database, folder, ENGINES[engine], clocks=clocks, **more)
            return stack.enter_context(served)

        yield start


@pytest.mark.parametrize("engine", ["cookie", "hybrid"])
def test_process_that_has_sent_a_mail_to_memory_still_reads_the_feed(
    served: Callable[..., Site], engine: str
) -> None:
    """A staging server with Django's locmem backend; the sign of a test run is another one."""
    site = served(engine)
    here, there = site.servers
    user = make_user(site)
    for server in site.servers:
        assert server.get("mail").status == 200
    jar = logged_in(here, user)
    copy = jar.copy()
    assert there.get("session", copy.cookie).user == user
    jar.get(here, "log_out")
    assert is_over(site, copy)


def test_login_between_two_ends_of_all_does_not_survive_the_second(
    served: Callable[..., Site],
) -> None:
    """Servers whose clocks differ by 10 s: what counts is the order, and the feed has it."""
    site = served("cookie", (0.0, 10.0))
    for first, second in (site.servers, site.servers[::-1]):
        user = make_user(site)
        second.get("end_all", user=user)
        site.learn()
        jar = logged_in(second, user)
        site.learn()
        assert first.get("session", jar.cookie).user == user
        first.get("end_all", user=user)
        assert is_over(site, jar)
        site.learn()
        assert is_in(site, logged_in(first, user), user)
        assert is_in(site, logged_in(second, user), user)


@pytest.mark.parametrize("engine", HERE)
def test_end_that_is_rolled_back_ends_nothing_anywhere(
    served: Callable[..., Site], engine: str
) -> None:
    site = served(engine)
    here, there = site.servers
    user = make_user(site)
    jar = logged_in(here, user)
    assert here.get("end_all_and_fail", user=user).status == 500
    assert is_in(site, jar, user)
    site.learn()
    assert is_in(site, jar, user)
    assert there.get("end_all", user=user).status == 200
    assert is_over(site, jar)


@pytest.mark.parametrize("engine", ["cookie", "hybrid"])
def test_site_without_time_zones_learns_of_an_end(served: Callable[..., Site], engine: str) -> None:
    site = served(engine, SITE_TZ="0")
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    assert is_in(site, jar, user)
    site.servers[0].get("end_session", sid=sid_of(site, jar))
    assert is_over(site, jar)


def test_many_ends_of_all_others_leave_few_lines(served: Callable[..., Site]) -> None:
    """The newer entry of a user replaces the older."""
    site = served("hybrid")
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    for number in range(20):
        assert site.servers[number % 2].get("end_all", user=user, keep=sid_of(site, jar)).status
    lines = number_of(site, "revocation", "kind = %s AND name = %s", "u", user)
    assert lines <= 2
    assert is_in(site, jar, user)
