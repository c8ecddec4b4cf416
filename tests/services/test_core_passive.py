"""A tab that polls keeps no session alive: passive requests extend nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import ENGINES

from .client import Jar
from .conftest import HERE, logged_in, make_user
from .servers import Database, Site, serve

AGE, STEP = 4000, 500  # seconds by the servers' clocks


@pytest.fixture(scope="module", params=HERE)
def site(
    request: pytest.FixtureRequest,
    site_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    settings = {"PASSIVE_PATHS": ["/asession/"]}
    with serve(site_database, folder, ENGINES[request.param], settings, SITE_AGE=str(AGE)) as site:
        yield site


POLLS = {
    "header": ("session", {"X-Session-Passive": "1"}),
    "EventSource": ("session", {"Accept": "text/event-stream"}),
    "prefetch": ("session", {"Sec-Purpose": "prefetch"}),
    "path": ("asession", {}),
}


def poll(site: Site, jar: Jar, seconds: int, page: str, headers: dict[str, str]) -> str | None:
    """Ask eight times an age; return who is there at the end."""
    user = None
    for _ in range(0, seconds, STEP):
        site.shift(STEP)
        answer = site.servers[0].send(page, jar.cookie, headers)
        jar.keep(answer)
        user = answer.user
    return user


@pytest.mark.parametrize("name", POLLS)
def test_session_that_is_only_polled_ends(site: Site, name: str) -> None:
    jar = logged_in(site.servers[0], make_user(site))
    assert poll(site, jar, AGE + STEP, *POLLS[name]) is None


def test_session_that_is_used_goes_on(site: Site) -> None:
    user = make_user(site)
    jar = logged_in(site.servers[0], user)
    assert poll(site, jar, 2 * AGE, "session", {}) == user


def test_session_that_has_ended_is_refused_to_polls_as_well(site: Site) -> None:
    jar = logged_in(site.servers[0], make_user(site))
    copy = jar.copy()
    jar.get(site.servers[0], "log_out")
    site.learn()
    assert poll(site, copy, STEP, *POLLS["header"]) is None
