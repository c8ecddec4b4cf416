"""Requests that are under way while a session ends or begins, and answer afterwards.

The late one runs on another process than the one that ends or begins the session, which has asked
the feed only just now: it is not due again before the answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from .client import Answer, Jar, Running
from .conftest import logged_in
from .servers import Server, Site, until

_numbers = count()
# A page that took less is believed what it knew when it began (design 2.5).
LATE = 0.12

# Pages that only read, write, or write in a way of their own.
READS, WRITES = ("session", {}), ("put", {"late": "1"})
PAGES = [READS, WRITES, ("append", {"value": "1"}), ("whoami", {})]


@contextmanager
def late(
    site: Site, server: Server, jar: Jar, page: str, parameters: dict[str, str]
) -> Iterator[list[Answer]]:
    """Let a request begin before and answer after the block; its answer is in the list then."""
    gate = f"late-{next(_numbers)}"
    cookie, answers = jar.cookie, []
    request = Running(lambda: server.get(page, cookie, gate=gate, **parameters))
    site.reached(gate)
    began = time.monotonic()
    try:
        yield answers
        # Real time is the subject here: an answer is late after a tenth of a second.
        time.sleep(max(0.0, began + LATE - time.monotonic()))
    finally:
        site.open(gate)
        answers.append(request.answer())


@pytest.mark.parametrize(("page", "parameters"), PAGES, ids=[page for page, _ in PAGES])
@pytest.mark.parametrize("number", [0, 1], ids=["same process", "other process"])
def test_late_answer_does_not_log_in_again(
    site: Site, new_user: str, page: str, parameters: dict[str, str], number: int
) -> None:
    jar = logged_in(site.servers[0], new_user)
    copy = jar.copy()
    with late(site, site.servers[number], jar, page, parameters) as answers:
        assert jar.get(site.servers[0], "log_out").set_cookie == ""
    [answer] = answers
    assert answer.set_cookie is None
    # As Django's: 400 where there was something to store, and nowhere to store it.
    assert answer.status == (400 if page in ("put", "append") else 200)
    jar.keep(answer)
    for server in site.servers:
        assert jar.get(server, "session").user is None
    # The session itself is over, too, for whoever has a copy of its cookie.
    until(lambda: site.servers[number].get("session", copy.cookie).user is None)


@pytest.mark.parametrize(("page", "parameters"), [READS, WRITES], ids=["reads", "writes"])
def test_late_answer_of_the_old_session_leaves_the_new_one_alone(
    site: Site, new_user: str, page: str, parameters: dict[str, str]
) -> None:
    """Logged out and in again while a page of the first session is still on its way."""
    here, there = site.servers
    jar = logged_in(here, new_user)
    with late(site, there, jar, page, parameters) as answers:
        jar.get(here, "log_out")
        logged_in(here, new_user, jar)
    jar.keep(answers[0])
    assert answers[0].set_cookie is None
    for server in site.servers:
        assert jar.get(server, "session").user == new_user


@pytest.mark.parametrize(("page", "parameters"), [READS, WRITES], ids=["reads", "writes"])
@pytest.mark.parametrize("number", [0, 1], ids=["same process", "other process"])
def test_late_answer_of_the_anonymous_session_never_undoes_a_login(
    site: Site, new_user: str, page: str, parameters: dict[str, str], number: int
) -> None:
    here = site.servers[0]
    jar = Jar()
    jar.get(here, "put", cart="book")
    with late(site, site.servers[number], jar, page, parameters) as answers:
        logged_in(here, new_user, jar)
    jar.keep(answers[0])
    assert answers[0].set_cookie is None
    for server in site.servers:
        answer = jar.get(server, "session")
        assert (answer.user, answer.json["data"]) == (new_user, {"cart": "book"})


@pytest.mark.parametrize("page", ["session", "put"])
def test_request_that_arrives_after_the_login_with_the_old_cookie_never_undoes_it(
    site: Site, new_user: str, page: str
) -> None:
    """Sent before the login's answer came; the other process does not know of the login yet."""
    here, there = site.servers
    jar = Jar()
    jar.get(here, "put", cart="book")
    before = jar.copy()
    assert there.get("session", before.cookie).json["data"] == {"cart": "book"}  # asks the feed
    logged_in(here, new_user, jar)
    with late(site, there, before, page, {"x": "1"} if page == "put" else {}) as answers:
        pass
    jar.keep(answers[0])
    assert answers[0].set_cookie is None
    assert jar.get(there, "session").user == new_user


def test_slow_request_of_a_living_session_is_none_the_worse(site: Site, new_user: str) -> None:
    """What is refused above is refused for a reason: here nothing ends meanwhile."""
    here, there = site.servers
    jar = logged_in(here, new_user)
    with late(site, there, jar, *WRITES) as answers:
        jar.get(here, "whoami")
    assert answers[0].status == 200
    jar.keep(answers[0])
    answer = jar.get(there, "session")
    assert (answer.user, answer.json["data"]) == (new_user, {"late": "1"})
