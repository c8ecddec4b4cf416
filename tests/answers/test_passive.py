"""Passive requests extend nothing: else an open tab that polls never idles out."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest

from django_jwtsession.conf import problems

from ..conftest import WEEK, read, write
from .conftest import Asker

pytestmark = pytest.mark.django_db

PASSIVE = [
    {"headers": {"X-Session-Passive": "1"}},
    {"headers": {"Accept": "text/event-stream"}},
    {"headers": {"Sec-Purpose": "prefetch;prerender"}},
    {"path": "/async/", "poll": True},
]


@pytest.fixture(params=PASSIVE, ids=["header", "EventSource", "prerender", "path"])
def passive(request: pytest.FixtureRequest, settings: Any) -> dict[str, Any]:
    """What makes a request passive, in each way."""
    settings.JWTSESSION = {"PASSIVE_PATHS": ["/poll/", "/tick"]}
    kwargs = dict(request.param)
    if kwargs.pop("poll", False):
        settings.JWTSESSION = {"PASSIVE_PATHS": ["/"]}
        kwargs = {}
    return kwargs


def active(settings: Any) -> None:
    settings.JWTSESSION = {}


@pytest.mark.requirement("ASVS 7.3.1")
def test_tab_that_polls_idles_out(
    engine: str, ask: Asker, clock: Any, passive: dict[str, Any]
) -> None:
    ask(write(x=1))
    for _ in range(7):
        clock.shift(WEEK / 8)
        assert ask(read, **passive).content == b"[('x', 1)]"
    clock.shift(WEEK / 8 + 20)
    assert ask(read, **passive).content == b"[]"


@pytest.mark.parametrize("saves_by_itself", [False, True])
def test_poll_that_writes_stores_and_extends_nothing(
    engine: str, ask: Asker, clock: Any, passive: dict[str, Any], saves_by_itself: bool
) -> None:
    def count(request: HttpRequest) -> str:
        request.session["x"] += 1
        if saves_by_itself:
            request.session.save()
        return str(request.session["x"])

    ask(write(x=1))
    for number in range(2, 9):
        clock.shift(WEEK / 8)
        assert ask(count, **passive).content == str(number).encode()
    clock.shift(WEEK / 8 + 20)
    assert ask(read, **passive).content == b"[]"


def test_view_that_extends_by_itself_does_so_in_a_poll_too(
    engine: str, ask: Asker, clock: Any, passive: dict[str, Any]
) -> None:
    ask(write(x=1))
    clock.shift(WEEK - 100)
    ask(lambda request: str(request.session.refresh()), **passive)
    clock.shift(WEEK - 100)
    assert ask(read).content == b"[('x', 1)]"


def test_poll_that_writes_inside_the_event_loop_extends_nothing(
    ask: Asker, clock: Any, settings: Any
) -> None:
    """There the row is not read before the change, and nobody knows when the session ends."""
    settings.SESSION_ENGINE = "django_jwtsession.backends.hybrid"
    poll: dict[str, Any] = {"headers": {"X-Session-Passive": "1"}}

    async def view(request: HttpRequest) -> str:
        request.session["y"] = 2
        return "written"

    ask(write(x=1))
    clock.shift(WEEK / 2 - 100)
    ask(read, **poll)  # which brings a copy of the row
    assert ask(view, path="/async/", **poll).content == b"written"
    assert ask(read, **poll).content == b"[('x', 1), ('y', 2)]"
    clock.shift(WEEK / 2 + 120)
    assert ask(read).content == b"[]"


def test_save_every_request_saves_no_poll(
    engine: str, ask: Asker, clock: Any, passive: dict[str, Any], settings: Any
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    ask(write(x=1))
    clock.shift(WEEK - 100)
    assert ask(read, **passive).content == b"[('x', 1)]"
    clock.shift(120)
    assert ask(read, **passive).content == b"[]"


def test_visitor_who_comes_back_in_time_is_extended_after_all_those_polls(
    engine: str, ask: Asker, clock: Any, passive: dict[str, Any], settings: Any
) -> None:
    ask(write(x=1))
    for _ in range(7):
        clock.shift(WEEK / 8)
        ask(read, **passive)
    settings.JWTSESSION = {}
    assert ask(read).cookies["sessionid"]["max-age"] == WEEK
    clock.shift(WEEK - 20)
    assert ask(read).content == b"[('x', 1)]"


def test_login_by_a_request_that_calls_itself_passive_lasts_as_any_other(
    engine: str, ask: Asker, clock: Any, user: Any, passive: dict[str, Any]
) -> None:
    from django.contrib.auth import login

    ask(write(x=1))
    clock.shift(WEEK / 2)
    ask(lambda request: login(request, user), **passive)
    clock.shift(WEEK - 100)
    assert ask(lambda request: request.user.get_username(), **passive).content == b"ada"


def test_poll_that_sets_a_shorter_expiry_is_heard(
    engine: str, ask: Asker, clock: Any, passive: dict[str, Any]
) -> None:
    ask(write(x=1))
    ask(lambda request: request.session.set_expiry(60), **passive)
    clock.shift(80)
    assert ask(read, **passive).content == b"[]"


@pytest.mark.parametrize(
    ("path", "is_passive"),
    [("/", False), ("/async/", True), ("/async/?a=b", True)],
)
def test_path_means_itself_and_one_with_a_slash_all_below(
    ask: Asker, settings: Any, clock: Any, path: str, is_passive: bool
) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.db"
    settings.JWTSESSION = {"PASSIVE_PATHS": ["/async/", "/a", "/other"]}

    async def aread(request: HttpRequest) -> str:
        return repr(await request.session.aget("x"))

    ask(write(x=1))
    clock.shift(WEEK / 2 + 10)
    response = ask(aread if path.startswith("/async") else read, path=path)
    assert bool(response.cookies) is not is_passive


@pytest.mark.parametrize("paths", ["/poll", ["poll"], [1], None])
def test_wrong_paths_are_named_with_what_to_write(paths: Any) -> None:
    [problem] = problems({"PASSIVE_PATHS": paths})
    assert problem.startswith('JWTSESSION["PASSIVE_PATHS"] must be a list of paths')
