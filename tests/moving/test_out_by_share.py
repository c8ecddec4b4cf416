"""MIGRATE_TO with MIGRATE_SHARE: all servers know of it before the first session goes back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import alogout, logout
from django.contrib.auth.models import User

from django_jwtsession.models import MovedSession, Session
from django_jwtsession.moving import leaving, notes
from django_jwtsession.revocation.feed import get_feed

from ..conftest import DAY
from ..helpers.process import new_process
from ..helpers.visitor import Visitor
from .conftest import DB, SIGNED, USERS, Old, meanwhile, old_of, old_rows


@pytest.fixture
def server(settings: Any) -> Any:
    """Be a server with a share of `MIGRATE_TO`: of None, it has not heard of it yet."""
    settings.ROOT_URLCONF = "tests.urls_engines"

    def be(old: Old, share: float | None, **more: Any) -> None:
        to = {} if share is None else {"MIGRATE_TO": old.path, "MIGRATE_SHARE": share}
        settings.JWTSESSION = to | more

    return be


@pytest.fixture
def ours(server: Any, old: Old, ada: User) -> Visitor:
    """A browser with a session of ours, before the first server hears of the move."""
    server(old, None)
    return logged_in(ada)


def logged_in(user: User, **data: Any) -> Visitor:
    browser = Visitor()
    if data:
        browser.put(**data)
    browser.login(user)
    return browser


def elsewhere(server: Any, old: Old, act: Callable[[], Any]) -> None:
    """Have a browser visit a server that hands all over, while this one hands over nobody."""
    server(old, 1)
    meanwhile(act)
    server(old, 0)


def test_nobody_goes_back_with_a_share_of_nothing(
    engine: str, old: Old, server: Any, ours: Visitor
) -> None:
    for share in (0, None, 0):
        server(old, share)
        assert ours.who() == "ada"
        ours.put(share=str(share))
        assert ours.data() == {"share": str(share)}
    assert not MovedSession.objects.exists()
    assert not old_rows()


def test_who_comes_for_the_first_time_is_known_to_servers_that_have_not_heard_of_it(
    engine: str, old: Old, server: Any, ada: User
) -> None:
    for cookie in ("", "x" * 32, "a:b:c"):
        server(old, 0)
        browser = Visitor(cookie=cookie)
        browser.login(ada)
        for share in (None, 0):
            server(old, share)
            assert browser.who() == "ada"
    assert not old_rows()


def test_who_comes_with_a_row_of_before_that_nobody_can_read_has_a_session_of_ours(
    engine: str, old_db: Old, server: Any, ada: User
) -> None:
    key = old_db.new({"basket": ["book"]})
    old_db.store.get_model_class().objects.update(session_data="?")
    browser = Visitor(cookie=key)
    server(old_db, 0)
    browser.login(ada)
    server(old_db, None)
    assert browser.who() == "ada"


def test_who_has_gone_back_is_known_to_servers_that_hand_over_nobody(
    engine: str, old: Old, server: Any, ada: User, clock: Any
) -> None:
    server(old, None)
    ours = logged_in(ada)
    lost, there = ours.copy(), Visitor()
    server(old, 1)
    there.login(ada)
    assert ours.who() == "ada"
    for number in range(4):
        server(old, number % 2)
        assert there.who() == ours.who() == lost.copy().who() == "ada"
        ours.put(number=number)
        assert ours.data() == {"number": number}
        clock.shift(60)
    assert not Session.objects.exists()
    ours.logout()
    for share in (0, 1):
        server(old, share)
        assert ours.who() == ""
        assert old.is_stateless or lost.copy().who() == ""
        assert there.who() == "ada"


def test_share_is_stable_and_about_right(db_engine: None, server: Any, old_db: Old) -> None:
    server(old_db, None)
    browsers = [Visitor() for _ in range(60)]
    for number, browser in enumerate(browsers):
        browser.put(number=number)

    def left() -> int:
        for number, browser in enumerate(browsers):
            assert browser.data() == {"number": number}
        return len(Session.objects.all())

    server(old_db, 0.3)
    first = left()
    assert 28 <= first <= 54
    assert left() == first
    server(old_db, 0.6)
    assert left() < first
    server(old_db, 1)
    assert left() == 0


def test_session_that_another_server_hands_over_meanwhile_signs_nobody_out(
    engine: str, old: Old, server: Any, ours: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, other = notes.find, ours.copy()
    server(old, 0)

    def find_just_before(digest: str) -> Any:
        found = find(digest)
        monkeypatch.setattr(notes, "find", find)
        elsewhere(server, old, other.who)
        return found

    monkeypatch.setattr(notes, "find", find_just_before)
    for _ in range(2):
        assert ours.who() == other.who() == "ada"
    assert not Session.objects.exists()


def test_session_that_another_server_hands_over_while_a_page_reads_it_goes_on(
    engine: str, old: Old, server: Any, ours: Visitor
) -> None:
    other = ours.copy()
    server(old, 0)

    def read(request: Any) -> str:
        elsewhere(server, old, other.who)
        return str(request.user)

    assert ours.do(read, "get") == "ada"
    assert ours.got != ""
    for share in (0, 1):
        server(old, share)
        assert ours.who() == other.who() == "ada"


def test_no_cookie_of_ours_goes_out_once_another_server_has_handed_the_session_over(
    engine: str, old: Old, server: Any, ada: User, clock: Any
) -> None:
    """Or the browser would lose the one that it has got there."""
    server(old, None)
    ours = logged_in(ada)
    other = ours.copy()
    clock.shift(4 * DAY)  # the session is to be extended
    server(old, 0)

    def read(request: Any) -> None:
        request.session.get("x")
        elsewhere(server, old, other.who)
        new_process()  # which has not heard of it
        request.session._feed = get_feed()

    ours.do(read, "get")
    assert ours.status == 200
    assert ours.got is None
    assert other.got


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_what_is_written_while_another_server_hands_the_session_over_goes_along(
    engine: str, old: Old, server: Any, ada: User, mode: str
) -> None:
    server(old, None)
    ours = logged_in(ada, gone=1)
    ours.mode = mode
    other = Visitor(cookie=ours.cookie)
    server(old, 0)

    def write(request: Any) -> None:
        request.session["x"] = 1
        del request.session["gone"]
        elsewhere(server, old, lambda: other.put(y=2))

    async def awrite(request: Any) -> None:
        await request.session.aset("x", 1)
        await request.session.apop("gone")
        await sync_to_async(elsewhere)(server, old, lambda: other.put(y=2))

    ours = Visitor(mode, ours.cookie)
    ours.send(write, awrite, "post")
    assert ours.status == 200
    for share in (0, 1):
        server(old, share)
        assert ours.who() == other.who() == "ada"
        if old.is_stateless:  # as with any two writes: the cookie that comes last counts
            assert ours.data() == {"x": 1}
        else:
            assert ours.data() == other.data() == {"x": 1, "y": 2}
    assert not Session.objects.exists()


@pytest.mark.parametrize("goes_first", [True, False])
def test_what_a_request_has_saved_is_not_written_again_over_what_others_wrote_since(
    engine: str, server: Any, old_db: Old, ada: User, goes_first: bool
) -> None:
    server(old_db, None)
    ours = logged_in(ada)
    other = ours.copy()
    server(old_db, 0)

    def write(request: Any) -> None:
        if goes_first:
            elsewhere(server, old_db, other.who)
        request.session["x"] = 1
        request.session.save()
        if engine != "cookie" or goes_first:
            elsewhere(server, old_db, lambda: other.put(x=2))
        request.session["y"] = 1

    ours.do(write)
    assert ours.status == 200
    expected = {"x": 1 if engine == "cookie" and not goes_first else 2, "y": 1}
    assert ours.data() == expected


@pytest.mark.parametrize("path", [DB, SIGNED, USERS])
def test_what_is_written_between_the_reading_and_the_move_moves_too(
    db_engine: None, server: Any, ada: User, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    old = old_of(path)
    server(old, None)
    ours = logged_in(ada)
    slow, for_others = ours.copy(), leaving._for_others

    def after_a_write(*args: Any) -> Any:
        monkeypatch.setattr(leaving, "_for_others", for_others)
        server(old, 0)
        meanwhile(lambda: slow.put(x=1))
        server(old, 1)
        return for_others(*args)

    server(old, 1)
    monkeypatch.setattr(leaving, "_for_others", after_a_write)
    assert ours.who() == "ada"
    assert ours.data() == {"x": 1}
    assert not Session.objects.exists()
    assert path == SIGNED or old_rows() == 1


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_logout_while_another_server_hands_the_session_over_ends_both(
    engine: str, old: Old, server: Any, ours: Visitor, mode: str
) -> None:
    other, copy = ours.copy(), ours.copy()
    server(old, 0)

    def log_out(request: Any) -> None:
        elsewhere(server, old, other.who)
        logout(request)

    async def alog_out(request: Any) -> None:
        await sync_to_async(elsewhere)(server, old, other.who)
        await alogout(request)

    ours = Visitor(mode, ours.cookie)
    ours.send(log_out, alog_out, "post")
    assert ours.got == ""
    for share in (0, 1):
        server(old, share)
        assert copy.who() == ""
        assert old.is_stateless or other.who() == ""
    assert not Session.objects.exists()


def test_session_is_not_handed_over_once_its_user_has_logged_out_elsewhere(
    engine: str, old: Old, server: Any, ours: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for_others, slow = leaving._for_others, ours.copy()

    def after_a_logout(*args: Any) -> Any:
        monkeypatch.setattr(leaving, "_for_others", for_others)
        server(old, 0)
        meanwhile(ours.logout)
        server(old, 1)
        return for_others(*args)

    server(old, 1)
    monkeypatch.setattr(leaving, "_for_others", after_a_logout)
    assert slow.who() == ""
    assert not old_rows()


def test_session_that_is_written_to_without_end_stays_for_this_request(
    db_engine: None, server: Any, old_db: Old, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    server(old_db, None)
    ours = logged_in(ada)
    with monkeypatch.context() as patch:
        patch.setattr("django_jwtsession.backends.db.SessionStore.move_out", lambda _: False)
        server(old_db, 1)
        assert ours.who() == "ada"
        assert not old_rows()
    assert ours.who() == "ada"
    assert old_rows() == 1


def test_in_and_back_by_shares_server_by_server(
    engine: str, old: Old, server: Any, settings: Any, ada: User
) -> None:
    """Two servers, that get each setting one after the other; each browser visits both."""
    way_in = {"MIGRATE_FROM": old.path}
    steps: list[tuple[float | None, dict[str, Any]]] = [
        (None, way_in | {"MIGRATE_SHARE": 0}),
        (None, way_in),
        (0, way_in),
        (1, way_in),
    ]
    browsers = [Visitor(cookie=old.login(ada)) for _ in range(4)]
    for before, after in pairwise(steps):
        here = browsers[:2]
        fresh = Visitor()
        server(old, after[0], **after[1])
        fresh.login(ada)
        browsers.append(fresh)
        for number in range(3):
            for share, more in (before, after):
                server(old, share, **more)
                for browser in [*here, fresh]:
                    assert browser.who() == "ada", (before, after)
                    browser.put(number=number)
                    assert browser.data() == {"number": number}
    server(old, 1, **way_in)
    assert {browser.who() for browser in browsers} == {"ada"}
    assert not Session.objects.exists()
    del settings.JWTSESSION


@pytest.mark.parametrize("share", [0, 1])
def test_answer_of_the_move_in_that_was_lost_signs_nobody_out_at_the_move_back(
    engine: str, old: Old, server: Any, ada: User, share: float
) -> None:
    key = old.login(ada)
    server(old, None, MIGRATE_FROM=old.path)
    assert Visitor(cookie=key).who() == "ada"
    server(old, share, MIGRATE_FROM=old.path)
    browser = Visitor(cookie=key)
    for _ in range(3):
        assert browser.who() == "ada"
    server(old, 1, MIGRATE_FROM=old.path)
    assert browser.who() == "ada"
    assert not Session.objects.exists()
