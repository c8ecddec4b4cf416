"""Epochs that begin, and whose cookie does not reach the browser; copies that renew a key."""

from __future__ import annotations

import socket
import time
from itertools import count

from .client import Jar, Running
from .conftest import logged_in
from .core import accused, is_in, is_over, sid_of
from .servers import Server, Site, until

_numbers = count()


def basket_of(site: Site, jar: Jar) -> list[object]:
    return [jar.get(server, "session").json["data"] for server in site.servers]


def test_error_after_a_proof_signs_nobody_out_but_the_copy(site: Site, new_user: str) -> None:
    here, there = site.servers
    jar = logged_in(here, new_user)
    jar.post(there, "put", basket="book")
    thief = jar.copy()
    answer = jar.post(here, "prove_and_fail")
    assert answer.status == 500
    assert answer.set_cookie
    assert is_over(site, thief)
    assert is_in(site, jar, new_user)
    assert basket_of(site, jar) == [{"basket": "book"}] * 2
    assert accused(site, new_user) == 0


def test_error_that_rolls_the_proof_back_leaves_the_old_cookie_good(
    site: Site, new_user: str
) -> None:
    here, there = site.servers
    jar = logged_in(here, new_user)
    jar.post(there, "put", basket="book")
    answer = jar.post(here, "prove_in_vain")
    assert (answer.status, answer.set_cookie) == (500, None)
    site.learn()
    site.shift(1)
    assert is_in(site, jar, new_user)
    assert basket_of(site, jar) == [{"basket": "book"}] * 2


def post_and_go(site: Site, server: Server, path: str, cookie: str) -> None:
    """Post to a page, and be gone before it answers."""
    gate = f"undelivered-{next(_numbers)}"
    head = (
        f"POST /{path}/?gate={gate} HTTP/1.1\r\nHost: localhost\r\n"
        f"Cookie: sessionid={cookie}\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(head.encode())
        site.reached(gate)
    site.open(gate)


def test_who_was_gone_before_the_answer_signs_in_again_and_finds_everything(
    site: Site, new_user: str
) -> None:
    """Nobody can tell this browser from a thief with its cookie."""
    here, there = site.servers
    jar = logged_in(here, new_user)
    jar.post(there, "put", basket="book")
    sid, thief = sid_of(site, jar), jar.copy()
    post_and_go(site, here, "prove", jar.cookie)
    until(lambda: is_over(site, thief))
    logged_in(there, new_user, jar)
    assert is_in(site, jar, new_user)
    assert sid_of(site, jar) == sid
    assert basket_of(site, jar) == [{"basket": "book"}] * 2
    assert is_over(site, thief)
    assert accused(site, new_user) == 0


def test_request_of_a_copy_that_was_under_way_takes_the_session_over_by_no_new_key(
    site: Site, new_user: str
) -> None:
    here, there = site.servers
    jar = logged_in(here, new_user)
    thief, gate = jar.copy(), f"undelivered-{next(_numbers)}"
    slow = Running(lambda: there.post("renew", thief.cookie, gate=gate))
    site.reached(gate)
    assert jar.post(here, "prove").status == 200
    time.sleep(0.15)
    site.open(gate)
    answer = slow.answer()
    thief.keep(answer)
    assert not answer.set_cookie
    assert is_over(site, thief)
    assert is_in(site, jar, new_user)
    until(lambda: jar.get(there, "fresh").status == 200)  # the proof is the owner's
