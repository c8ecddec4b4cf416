"""MIGRATE_SHARE: some browsers move, the others keep the engine of before, on all servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import alogout, logout
from django.contrib.auth.models import User

from django_jwtsession.models import MovedSession, Session
from django_jwtsession.moving import arriving, notes

from ..helpers.visitor import Visitor
from .conftest import DB, SIGNED, USERS, Old, meanwhile, old_of, old_rows


def test_nobody_moves_with_a_share_of_nothing(
    engine: str, old: Old, moving_in: Any, browser: Visitor, ada: User
) -> None:
    browser.cookie = old.login(ada, basket=["book"])
    moving_in(old, MIGRATE_SHARE=0)
    assert browser.who() == "ada"
    browser.put(basket=["pen"])
    assert browser.data() == {"basket": ["pen"]}
    assert old.is_stateless or old.has(browser.cookie)
    assert not MovedSession.objects.exists()


def test_who_comes_for_the_first_time_is_served_by_the_engine_of_before(
    engine: str, old: Old, moving_in: Any, browser: Visitor, ada: User
) -> None:
    """Or a server that runs the old code would not know who logs in here."""
    moving_in(old, MIGRATE_SHARE=0)
    browser.login(ada)
    assert browser.who() == "ada"
    assert not Session.objects.exists()
    key = browser.cookie
    moving_in(old)
    assert browser.who() == "ada"
    assert old.is_stateless or not old.has(key)
    assert browser.who() == "ada"


def test_share_is_stable_and_about_right(db_engine: None, moving_in: Any) -> None:
    old = Old(DB)
    keys = [old.new({"number": number}) for number in range(60)]
    moving_in(old, MIGRATE_SHARE=0.3)

    def moved() -> set[str]:
        for key in keys:
            Visitor(cookie=key).data()
        return {key for key in keys if not old.has(key)}

    first = moved()
    assert 6 <= len(first) <= 32
    assert moved() == first
    moving_in(old, MIGRATE_SHARE=0.6)
    assert moved() > first


@pytest.mark.parametrize("path", [DB, SIGNED])
def test_server_with_a_smaller_share_knows_who_has_moved(
    engine: str, moving_in: Any, ada: User, path: str
) -> None:
    old = old_of(path)
    key = old.login(ada)
    browser = Visitor(cookie=key)
    moving_in(old)
    sid = browser.sid()
    moving_in(old, MIGRATE_SHARE=0)  # another server
    assert Visitor(cookie=key).sid() == sid  # whose answer was lost
    assert browser.who() == "ada"
    assert browser.sid() == sid
    moving_in(old)
    browser.logout()
    for share in (0, 1):  # and no server lets the cookie of before in again
        moving_in(old, MIGRATE_SHARE=share)
        assert Visitor(cookie=key).who() == ""


def test_back_and_forth_between_two_shares(
    engine: str, old: Old, moving_in: Any, browser: Visitor, ada: User
) -> None:
    browser.cookie = old.login(ada)
    for number in range(6):
        moving_in(old, MIGRATE_SHARE=number % 2)
        assert browser.who() == "ada"


def of_another_server(act: Callable[[], Any], moving_in: Any, old: Old) -> None:
    """Have a browser visit a server on which all move, while this one moves nobody."""
    moving_in(old)
    meanwhile(act)
    moving_in(old, MIGRATE_SHARE=0)


def test_session_that_another_server_moves_meanwhile_signs_nobody_out(
    engine: str, old: Old, moving_in: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares are raised server by server, and a browser's parallel requests reach both."""
    key = old.login(ada)
    moving_in(old, MIGRATE_SHARE=0)
    find, moved, slow = notes.find, Visitor(cookie=key), Visitor(cookie=key)

    def find_just_before(digest: str) -> Any:
        found = find(digest)
        monkeypatch.setattr(notes, "find", find)
        of_another_server(moved.who, moving_in, old)
        return found

    monkeypatch.setattr(notes, "find", find_just_before)
    assert slow.who() == "ada"
    assert slow.cookie
    assert slow.who() == moved.who() == "ada"
    assert old.is_stateless or not old_rows()


def test_session_that_another_server_moves_while_a_page_reads_it_goes_on(
    engine: str, old: Old, moving_in: Any, ada: User
) -> None:
    key = old.login(ada)
    moving_in(old, MIGRATE_SHARE=0)
    moved, slow = Visitor(cookie=key), Visitor(cookie=key)

    def read(request: Any) -> str:
        of_another_server(moved.who, moving_in, old)
        return str(request.user)

    assert slow.do(read, "get") == "ada"
    assert slow.got != ""
    assert slow.who() == "ada"


def test_what_is_written_while_another_server_moves_the_session_goes_along(
    engine: str, old: Old, moving_in: Any, browser: Visitor, ada: User
) -> None:
    key = browser.cookie = old.login(ada, gone=1)
    moving_in(old, MIGRATE_SHARE=0)
    moved = Visitor(cookie=key)

    def write(request: Any) -> None:
        request.session["x"] = 1
        del request.session["gone"]
        of_another_server(lambda: moved.put(y=2), moving_in, old)

    async def awrite(request: Any) -> None:
        await request.session.aset("x", 1)
        await request.session.apop("gone")
        await sync_to_async(of_another_server)(lambda: moved.put(y=2), moving_in, old)

    browser.send(write, awrite, "post")
    assert browser.status == 200
    assert old.is_stateless or not old_rows()
    assert browser.who() == moved.who() == "ada"
    if engine == "cookie" and not old.is_stateless:
        # As with any two writes: the cookie that comes last counts.
        assert browser.data() == {"x": 1}
        assert moved.data() == {"gone": 1, "y": 2}
        assert browser.sid() == moved.sid()
    elif not old.is_stateless:
        assert browser.data() == moved.data() == {"x": 1, "y": 2}
        assert Session.objects.count() == 1


@pytest.mark.parametrize("value", [True, 1.0, "1"])
def test_value_that_changes_its_type_alone_goes_along_too(
    db_engine: None, moving_in: Any, old_db: Old, ada: User, value: Any
) -> None:
    key = old_db.login(ada, x=1)
    moving_in(old_db, MIGRATE_SHARE=0)
    moved, slow = Visitor(cookie=key), Visitor(cookie=key)

    def write(request: Any) -> None:
        of_another_server(moved.who, moving_in, old_db)
        request.session["x"] = value

    slow.do(write)
    assert repr(moved.data()["x"]) == repr(value)


def test_all_that_a_request_saves_is_in_the_cookie_that_it_gets(
    moving_in: Any, settings: Any, ada: User
) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.cookie"
    old = Old(DB)
    key = old.login(ada)
    moving_in(old, MIGRATE_SHARE=0)
    moved, slow = Visitor(cookie=key), Visitor(cookie=key)

    def write(request: Any) -> None:
        of_another_server(moved.who, moving_in, old)
        for name in ("x", "y"):
            request.session[name] = 1
            request.session.save()
        request.session["z"] = 1

    slow.do(write)
    assert slow.status == 200
    assert slow.sid() == moved.sid()
    assert slow.data() == {"x": 1, "y": 1, "z": 1}


@pytest.mark.parametrize("moves_first", [True, False])
def test_what_a_request_has_saved_is_not_written_again_over_what_others_wrote_since(
    db_engine: None, moving_in: Any, old_db: Old, ada: User, moves_first: bool
) -> None:
    key = old_db.login(ada)
    moving_in(old_db, MIGRATE_SHARE=0)
    moved, slow = Visitor(cookie=key), Visitor(cookie=key)

    def write(request: Any) -> None:
        if moves_first:
            of_another_server(moved.who, moving_in, old_db)
        request.session["x"] = 1
        request.session.save()
        of_another_server(lambda: moved.put(x=2), moving_in, old_db)
        request.session["y"] = 1

    slow.do(write)
    assert moved.data() == slow.data() == {"x": 2, "y": 1}


@pytest.mark.parametrize("path", [DB, USERS, f"{DB[:-2]}cached_db", "qsessions.backends.db"])
def test_what_is_written_between_the_reading_and_the_move_moves_too(
    engine: str, moving_in: Any, ada: User, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    old = old_of(path)
    key = old.login(ada)
    moving_in(old)
    judged, moved, slow = arriving._judged, Visitor(cookie=key), Visitor(cookie=key)

    def judged_after_a_write(found: Any, request: Any) -> Any:
        monkeypatch.setattr(arriving, "_judged", judged)
        moving_in(old, MIGRATE_SHARE=0)
        meanwhile(lambda: slow.put(x=1))
        moving_in(old)
        return judged(found, request)

    monkeypatch.setattr(arriving, "_judged", judged_after_a_write)
    assert moved.who() == "ada"
    assert moved.data() == slow.data() == {"x": 1}
    assert not old_rows()


def test_logout_while_another_server_moves_the_session_ends_both(
    engine: str, old: Old, moving_in: Any, browser: Visitor, ada: User
) -> None:
    key = browser.cookie = old.login(ada)
    moving_in(old, MIGRATE_SHARE=0)
    moved, copy = Visitor(cookie=key), Visitor(cookie=key)

    def log_out(request: Any) -> None:
        of_another_server(moved.who, moving_in, old)
        logout(request)

    async def alog_out(request: Any) -> None:
        await sync_to_async(of_another_server)(moved.who, moving_in, old)
        await alogout(request)

    browser.send(log_out, alog_out, "post")
    assert browser.got == ""
    assert moved.who() == copy.who() == ""
    moving_in(old)
    assert moved.who() == copy.who() == Visitor(cookie=key).who() == ""
    assert not Session.objects.exists()


def test_session_is_not_moved_once_its_user_has_logged_out_elsewhere(
    engine: str, old: Old, moving_in: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = old.login(ada)
    moving_in(old)
    judged, moved, slow = arriving._judged, Visitor(cookie=key), Visitor(cookie=key)

    def judged_after_a_logout(found: Any, request: Any) -> Any:
        monkeypatch.setattr(arriving, "_judged", judged)
        moving_in(old, MIGRATE_SHARE=0)
        meanwhile(slow.logout)
        moving_in(old)
        return judged(found, request)

    monkeypatch.setattr(arriving, "_judged", judged_after_a_logout)
    assert moved.who() == ""
    assert Visitor(cookie=key).who() == ""
    assert not Session.objects.exists()


def test_logout_with_a_forged_cookie_writes_nothing(db_engine: None, moving_in: Any) -> None:
    old = Old(SIGNED)
    moving_in(old, MIGRATE_SHARE=0)
    for number in range(3):
        visitor = Visitor(cookie=f"forged:cookie:{number}")
        visitor.logout()
        assert visitor.status == 200
    assert not MovedSession.objects.exists()


def test_signed_cookie_of_a_user_stays_in_its_share_whatever_is_saved(
    db_engine: None, moving_in: Any
) -> None:
    old = Old(SIGNED)
    users = [User.objects.create_user(f"user{number}") for number in range(20)]
    browsers = [Visitor(cookie=old.login(user)) for user in users]
    moving_in(old, MIGRATE_SHARE=0.5)
    for browser in browsers:
        browser.put(x=1)
    moved = Session.objects.count()
    assert 3 <= moved <= 17
    for browser in browsers:
        for number in range(3):
            browser.put(x=number)
    assert Session.objects.count() == moved


def test_visitor_cannot_choose_the_engine_of_before_once_all_move(
    engine: str, old: Old, moving_in: Any, ada: User
) -> None:
    moving_in(old)
    for cookie in ("", "x" * 32, "a:b:c"):
        visitor = Visitor(cookie=cookie)
        assert visitor.do(lambda request: type(request.session).__module__).startswith(
            "django_jwtsession."
        )


STOCK = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]


def test_rolling_deploy_with_half_of_the_servers_on_the_old_code_signs_nobody_out(
    engine: str, old: Old, moving_in: Any, settings: Any, ada: User
) -> None:
    ours = settings.SESSION_ENGINE, settings.MIDDLEWARE

    def old_server() -> None:
        settings.SESSION_ENGINE, settings.MIDDLEWARE = old.path, STOCK

    def new_server(**more: Any) -> None:
        settings.SESSION_ENGINE, settings.MIDDLEWARE = ours
        moving_in(old, **more)

    from_before, new_here, new_there = Visitor(cookie=old.login(ada)), Visitor(), Visitor()
    new_server(MIGRATE_SHARE=0)
    new_here.login(ada)
    old_server()
    new_there.login(ada)
    browsers = [from_before, new_here, new_there]
    for number in range(3):
        for browser in browsers:
            new_server(MIGRATE_SHARE=0)
            assert browser.who() == "ada"
            browser.put(number=number)
            old_server()
            assert browser.who() == "ada"
            assert browser.data() == {"number": number}
    new_server()  # no server runs the old code any more
    for browser in browsers:
        assert browser.who() == "ada"
        assert browser.data() == {"number": 2}
    assert Session.objects.count() == (0 if engine == "cookie" else 3)
