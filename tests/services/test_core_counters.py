"""A cookie sent again and again, to two processes, in parallel: what a session counts stays."""

from __future__ import annotations

import pytest

from .client import Jar, together
from .servers import Site


@pytest.fixture
def first(site: Site) -> Jar:
    """Who has just got a code."""
    if site.engine.endswith(".cookie"):
        pytest.skip("cannot be helped without a row, as README says")
    jar = Jar()
    assert jar.post(site.servers[0], "put", code="1234").status == 200
    return jar


def test_first_cookie_has_three_tries_on_all_processes(site: Site, first: Jar) -> None:
    allowed = [
        site.servers[number % 2].post("try_code", first.cookie).json["allowed"]
        for number in range(6)
    ]
    assert allowed == [True] * 3 + [False] * 3
    data = site.servers[1].post("session", first.cookie).json["data"]
    assert data["tries"] == 3


def test_code_is_redeemed_once_on_all_processes(site: Site, first: Jar) -> None:
    redeemed = [
        site.servers[number % 2].post("redeem", first.cookie).json["redeemed"]
        for number in range(4)
    ]
    assert redeemed == [True, False, False, False]


def test_pop_by_get_is_a_write_too(site: Site, first: Jar) -> None:
    redeemed = [
        site.servers[number % 2].get("redeem", first.cookie).json["redeemed"] for number in range(4)
    ]
    assert redeemed == [True, False, False, False]


def test_safe_requests_try_once_too_often_in_each_process_and_no_more(
    site: Site, first: Jar
) -> None:
    """A page that counts by GET has decided by the copy; the process knows the row from then on."""
    allowed = [
        site.servers[number % 2].get("try_code", first.cookie).json["allowed"]
        for number in range(12)
    ]
    assert sum(allowed) <= 5
    assert not any(allowed[6:])


def test_counter_never_goes_back(site: Site, first: Jar) -> None:
    seen = []
    for number in range(8):
        server = site.servers[number % 2]
        server.post("try_code", first.cookie)
        server.get("try_code", first.cookie)
        seen.append(server.post("session", first.cookie).json["data"]["tries"])
    assert seen == sorted(seen)


def test_parallel_tries_stop_within_what_was_under_way(site: Site, first: Jar) -> None:
    """Requests at one instant read the same number; those after them do not."""
    for _ in range(3):
        together(8, lambda number: site.servers[number % 2].post("try_code", first.cookie))
    later = together(8, lambda number: site.servers[number % 2].post("try_code", first.cookie))
    assert not any(answer.json["allowed"] for answer in later)
