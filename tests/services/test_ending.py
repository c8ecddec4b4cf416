"""A session that was ended in one server process is refused by the other, whoever has its cookie.

By the engines cookie and hybrid within the feed's second (1.5 s with what polling costs), by `db`
at its next request.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .client import Jar, Running
from .conftest import logged_in, make_user
from .servers import Site

WITHIN = 4.0  # 1.5 s on a machine that does nothing else


def assert_in(site: Site, jar: Jar, user: str) -> None:
    """Both processes let the cookie in; they have just asked the feed."""
    for server in site.servers:
        assert server.get("session", jar.cookie).user == user


def assert_refused(site: Site, jar: Jar, ended_at: float, *, goes_on: bool = False) -> None:
    """Within the time that the engine promises, both processes see nobody; and so it stays.

    Arguments: `goes_on` tells that only the epoch of the cookie has passed, seconds ago.
    """
    if not site.engine.endswith(".db"):
        until_refused(site, jar, ended_at + WITHIN)
    for server in site.servers:
        answer = server.get("session", jar.cookie)
        assert (answer.user, answer.json["data"]) == (None, {})
        assert answer.set_cookie in (None, "")
    # What is written with it does not bring it back: a new session begins, or, where the browser's
    # newer cookie may be on its way, nothing is stored and no cookie goes out.
    jar = jar.copy()
    written = jar.get(site.servers[1], "put", after="end")
    assert written.status == 200
    assert (written.set_cookie is None) is goes_on
    answer = jar.get(site.servers[0], "session")
    assert (answer.user, answer.json["data"]) == (None, {} if goes_on else {"after": "end"})


def until_refused(site: Site, jar: Jar, end: float) -> None:
    while time.monotonic() < end:
        answers = [server.get("session", jar.cookie) for server in site.servers]
        if not any(answer.json["user"] or answer.json["data"] for answer in answers):
            return
        time.sleep(0.05)


def log_out(site: Site, jar: Jar, user: str) -> None:
    assert jar.get(site.servers[0], "log_out").set_cookie == ""


def end_session(site: Site, jar: Jar, user: str) -> None:
    sid = site.servers[0].get("session", jar.cookie).json["sid"]
    assert site.servers[0].get("end_session", sid=sid).status == 200


def end_all(site: Site, jar: Jar, user: str) -> None:
    assert site.servers[0].get("end_all", user=user).status == 200


def end_rows(site: Site, jar: Jar, user: str) -> None:
    if site.engine.endswith(".cookie"):
        pytest.skip("the cookie engine has no rows")
    assert site.servers[0].get("end_rows", user=user).json["ended"] == 1


@pytest.mark.parametrize("end", [log_out, end_session, end_all, end_rows], ids=lambda f: f.__name__)
def test_session_ended_in_one_process_is_refused_by_the_other(
    site: Site, new_user: str, end: Callable[[Site, Jar, str], None]
) -> None:
    """Logout, revoke_session(), revoke_user_sessions(), a queryset's revoke()."""
    jar = logged_in(site.servers[0], new_user)
    copy = jar.copy()
    assert_in(site, copy, new_user)
    end(site, jar, new_user)
    assert_refused(site, copy, time.monotonic())


def test_database_engine_refuses_at_the_very_next_request(site: Site, new_user: str) -> None:
    if not site.engine.endswith(".db"):
        pytest.skip("of the engine db")
    jar = logged_in(site.servers[0], new_user)
    assert_in(site, jar, new_user)
    end_session(site, jar, new_user)
    assert site.servers[1].get("session", jar.cookie).user is None


def test_cookie_from_before_login_is_refused(site: Site, new_user: str) -> None:
    """Fixation: somebody knows the anonymous cookie with which the user then logs in."""
    here, there = site.servers
    jar = Jar()
    jar.get(here, "put", cart="book")
    fixed = jar.copy()
    assert there.get("session", fixed.cookie).json["data"] == {"cart": "book"}
    logged_in(here, new_user, jar)
    assert here.get("session", jar.cookie).json["data"] == {"cart": "book"}
    assert_refused(site, fixed, time.monotonic(), goes_on=True)
    assert_in(site, jar, new_user)


def test_cookie_from_before_a_password_change_is_refused(site: Site, new_user: str) -> None:
    here = site.servers[0]
    jar = logged_in(here, new_user)
    copy, elsewhere = jar.copy(), logged_in(here, new_user)
    assert_in(site, copy, new_user)
    assert jar.get(here, "change_password").status == 200
    changed_at = time.monotonic()
    assert_refused(site, copy, changed_at, goes_on=True)
    # Sessions of other devices are Django's affair: their password hash is not today's any more.
    assert site.servers[1].get("whoami", elsewhere.cookie).user is None
    assert_in(site, jar, new_user)


def test_everywhere_else_keeps_exactly_this_session(site: Site, new_user: str) -> None:
    here, there = site.servers
    mine, others = logged_in(there, new_user), [logged_in(here, new_user) for _ in range(3)]
    bystander = make_user(site)
    other_user = logged_in(here, bystander)
    for jar in [mine, *others]:
        assert_in(site, jar, new_user)
    sid = there.get("session", mine.cookie).json["sid"]
    assert there.get("end_all", user=new_user, keep=sid).status == 200
    ended_at = time.monotonic()
    for jar in others:
        assert_refused(site, jar, ended_at)
    assert_in(site, mine, new_user)
    assert_in(site, other_user, bystander)
    # It goes on as any other: it can be written to, and a new login is none of the ended ones.
    mine.get(here, "put", x="1")
    assert there.get("session", mine.cookie).json["data"] == {"x": "1"}
    assert_in(site, logged_in(here, new_user), new_user)


def test_long_request_learns_that_its_session_has_ended(site: Site, new_user: str) -> None:
    """What a view that streams asks each second, here on the process that did not end it."""
    here, there = site.servers
    jar = logged_in(here, new_user)
    streaming = Running(lambda: there.get("is_ended", jar.cookie, gate=f"stream-{new_user}"))
    site.reached(f"stream-{new_user}")
    site.open(f"stream-{new_user}")
    end_session(site, jar, new_user)
    after = streaming.answer().json["after"]
    assert after is not None
    assert after < WITHIN
