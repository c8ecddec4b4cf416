"""`session_key` of 40 characters, the same on every process, and what is stored by it."""

from __future__ import annotations

import pytest

from .client import Jar, together
from .conftest import logged_in
from .core import accused, is_over
from .servers import Site


@pytest.fixture
def jar(site: Site, new_user: str) -> Jar:
    if site.engine.endswith(".cookie"):
        pytest.skip("session_key is the token there")
    return logged_in(site.servers[0], new_user)


def key_of(site: Site, jar: Jar, server: int = 0) -> str:
    return str(site.servers[server].get("key", jar.cookie).json["key"])


def test_four_parallel_requests_see_one_key(site: Site, jar: Jar) -> None:
    """Else a cart that is kept by key is four carts."""
    keys = together(4, lambda number: key_of(site, jar, number % 2))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 40
    jar.post(site.servers[1], "put", x=1)
    assert {key_of(site, jar, 0), key_of(site, jar, 1)} == set(keys)


def test_stored_key_opens_the_session_on_the_other_process(site: Site, jar: Jar) -> None:
    key = key_of(site, jar)
    jar.post(site.servers[0], "put", x="1")
    for server in site.servers:
        assert server.get("open_key", key=key).json["data"] == {"x": "1"}


def test_key_that_arrives_as_a_cookie_is_answered_with_a_token(
    site: Site, jar: Jar, new_user: str
) -> None:
    other = Jar(key_of(site, jar))
    answer = other.get(site.servers[1], "whoami")
    assert answer.user == new_user
    assert answer.set_cookie
    assert len(answer.set_cookie) > 40


def test_stored_key_of_an_ended_session_opens_nothing(site: Site, jar: Jar) -> None:
    key = key_of(site, jar)
    jar.get(site.servers[0], "log_out")
    assert is_over(site, Jar(key))
    for server in site.servers:
        assert server.get("open_key", key=key).json["data"] == {}


def test_stored_key_accuses_nobody(site: Site, jar: Jar, new_user: str) -> None:
    key = key_of(site, jar)
    for number in range(3):
        jar.post(site.servers[number % 2], "put", number=number)
        site.servers[(number + 1) % 2].get("open_key", key=key)
    assert jar.get(site.servers[0], "whoami").user == new_user
    assert accused(site, new_user) == 0
