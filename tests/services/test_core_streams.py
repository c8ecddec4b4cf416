"""A page that streams asks `is_over()` each second, and ends within two of the session's end."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import pytest

from .client import Jar, Running
from .conftest import logged_in
from .core import sid_of
from .servers import Server, Site

_numbers = count()
WITHIN = 4  # two seconds on a machine that does nothing else


def stream(site: Site, server: Server, jar: Jar) -> Running:
    """Let a page stream; it has asked once, and been told that its session goes on."""
    told, cookie = f"told-{next(_numbers)}", jar.cookie
    streaming = Running(lambda: server.get("stream", cookie, told=told))
    site.reached(told)
    return streaming


def log_out(server: Server, jar: Jar, user: str, sid: str) -> None:
    jar.get(server, "log_out")


def end_session(server: Server, jar: Jar, user: str, sid: str) -> None:
    server.get("end_session", sid=sid)


def end_all(server: Server, jar: Jar, user: str, sid: str) -> None:
    server.get("end_all", user=user)


def change_password_elsewhere(server: Server, jar: Jar, user: str, sid: str) -> None:
    other = logged_in(server, user)
    assert other.post(server, "change_password").status == 200


def set_password(server: Server, jar: Jar, user: str, sid: str) -> None:
    assert server.post("set_password", user=user).status == 200


def deactivate(server: Server, jar: Jar, user: str, sid: str) -> None:
    assert server.post("deactivate", user=user).status == 200


def prove(server: Server, jar: Jar, user: str, sid: str) -> None:
    """The stream is one of the earlier epoch."""
    assert jar.post(server, "prove").status == 200


ENDS = [log_out, end_session, end_all, change_password_elsewhere, set_password, deactivate, prove]


@pytest.mark.parametrize("end", ENDS)
def test_stream_ends_within_two_seconds(
    site: Site, new_user: str, end: Callable[[Server, Jar, str, str], None]
) -> None:
    here, there = site.servers
    jar = logged_in(here, new_user)
    sid, streaming = sid_of(site, jar), stream(site, there, jar)
    end(here, jar, new_user, sid)
    ended_at = time.monotonic()
    assert streaming.answer().json["over"], "the stream goes on"
    assert time.monotonic() - ended_at < WITHIN


def test_stream_ends_with_the_idle_time(site: Site, new_user: str) -> None:
    jar = logged_in(site.servers[0], new_user)
    assert jar.post(site.servers[0], "expire_in", seconds="60").status == 200
    streaming = stream(site, site.servers[1], jar)
    site.shift(61)
    assert streaming.answer().json["over"], "the stream goes on"


def test_stream_of_a_session_that_goes_on_goes_on(site: Site, new_user: str) -> None:
    jar = logged_in(site.servers[0], new_user)
    assert site.servers[1].get("stream", jar.cookie, seconds=2.5).json["over"] is False
