"""Proofs and epochs: what the owner proves makes every copy worthless, on both processes."""

from __future__ import annotations

import time
from functools import partial
from itertools import count

import pytest

from .client import Jar, Running, together
from .conftest import logged_in, make_user
from .core import is_in, is_nobody, is_over, sid_of
from .servers import Site

_numbers = count()
OLD = 61  # seconds after which a login is no longer fresh, here


def reaches_fresh(site: Site, jar: Jar) -> bool:
    return any(server.get("fresh", jar.cookie).status == 200 for server in site.servers)


@pytest.mark.requirement("ASVS 7.2.4")
def test_copy_from_before_a_proof_never_passes_for_it(site: Site, new_user: str) -> None:
    jar = logged_in(site.servers[0], new_user)
    thief = jar.copy()
    site.shift(OLD)
    assert not reaches_fresh(site, thief)
    assert jar.post(site.servers[0], "prove").status == 200
    assert not reaches_fresh(site, thief)
    assert is_over(site, thief)
    assert not reaches_fresh(site, thief)
    assert reaches_fresh(site, jar)
    assert is_in(site, jar, new_user)


def test_page_that_was_being_written_meanwhile_is_kept(site: Site, new_user: str) -> None:
    here, there = site.servers
    jar = logged_in(here, new_user)
    cookie, gate = jar.cookie, f"core-{next(_numbers)}"
    tab = Running(lambda: there.post("put", cookie, gate=gate, text="long"))
    site.reached(gate)
    assert jar.post(here, "prove").status == 200
    time.sleep(0.15)  # a shorter request than this asks nobody before it answers
    site.open(gate)
    answer = tab.answer()
    assert answer.set_cookie is None
    assert is_in(site, jar, new_user)
    if not site.engine.endswith(".cookie"):  # which has no place where the two could meet
        assert answer.status == 200
        assert jar.post(there, "session").json["data"] == {"text": "long"}


def test_page_that_only_reads_meanwhile_signs_nobody_out(site: Site, new_user: str) -> None:
    here, there = site.servers
    jar = logged_in(here, new_user)
    cookie, gate = jar.cookie, f"core-{next(_numbers)}"
    tab = Running(lambda: there.get("session", cookie, gate=gate))
    site.reached(gate)
    assert jar.post(here, "prove").status == 200
    site.open(gate)
    answer = tab.answer()
    assert (answer.user, answer.set_cookie) == (new_user, None)
    assert is_in(site, jar, new_user)


def test_copy_of_the_session_that_is_kept_goes_with_the_others(site: Site, new_user: str) -> None:
    here, there = site.servers
    jar, elsewhere = logged_in(here, new_user), logged_in(there, new_user)
    thief = jar.copy()
    assert is_in(site, thief, new_user)
    jar.keep(here.post("end_others", jar.cookie))
    assert is_over(site, thief)
    assert is_over(site, elsewhere)
    assert is_in(site, jar, new_user)


def test_ending_the_others_is_no_proof(site: Site, new_user: str) -> None:
    jar = logged_in(site.servers[0], new_user)
    site.shift(OLD)
    assert jar.post(site.servers[0], "end_others").status == 200
    assert is_in(site, jar, new_user)
    assert not reaches_fresh(site, jar)


def test_session_is_ended_by_the_sid_of_its_login_after_a_password_change(
    site: Site, new_user: str
) -> None:
    here, there = site.servers
    jar = logged_in(here, new_user)
    sid = sid_of(site, jar)
    assert jar.post(here, "change_password").status == 200
    assert is_in(site, jar, new_user)
    assert sid_of(site, jar) == sid
    assert there.get("end_session", sid=sid).status == 200
    assert is_over(site, jar)


def test_old_copy_whose_hash_no_longer_fits_ends_nothing(site: Site, new_user: str) -> None:
    here = site.servers[0]
    jar = logged_in(here, new_user)
    thief = jar.copy()
    assert jar.post(here, "change_password").status == 200
    for _ in range(4):
        for server in site.servers:
            answer = server.post("whoami", thief.cookie)
            assert answer.json.get("user") is None
            assert not answer.set_cookie
        site.learn()
    assert is_in(site, jar, new_user)


def test_password_form_beside_busy_tabs_signs_nobody_out(site: Site) -> None:
    """They see the new password before their session is told of it."""

    def visit(jar: Jar, number: int) -> None:
        if number == 0:
            assert jar.post(site.servers[0], "change_password").status == 200
            return
        for _ in range(8):
            jar.get(site.servers[number % 2], "whoami")

    for _ in range(4):
        user = make_user(site)
        jar = logged_in(site.servers[0], user)
        together(5, partial(visit, jar))
        assert is_in(site, jar, user)


def test_double_click_on_login_is_answered_twice_and_logged_in(site: Site, new_user: str) -> None:
    """The second one comes with the cookie from before the first, to another process."""
    here, there = site.servers
    jar = Jar()
    jar.get(here, "put", basket="book")
    before = jar.copy()
    first = here.post("log_in", before.cookie, user=new_user)
    second = there.post("log_in", before.cookie, user=new_user)
    assert (first.status, second.status) == (200, 200)
    assert second.set_cookie
    jar.keep(first)
    jar.keep(second)
    site.learn()
    assert is_in(site, jar, new_user)


@pytest.mark.parametrize("method", ["post", "get"])
def test_planted_anonymous_cookie_ends_no_login(site: Site, new_user: str, method: str) -> None:
    """Not even by a logout on a process that has not heard of the login yet."""
    here, there = site.servers
    planted = Jar()
    planted.get(here, "put", basket="book")
    jar = logged_in(here, new_user, planted.copy())
    for _ in range(3):
        getattr(there, method)("log_out", planted.cookie)
        site.learn()
    assert is_in(site, jar, new_user)
    assert is_nobody(site, planted)
