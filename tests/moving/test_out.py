"""MIGRATE_TO: one line takes the move back, and nobody is signed out."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError, OperationalError

from django_jwtsession.models import MovedSession, Session, SessionEvent
from django_jwtsession.moving import leaving
from django_jwtsession.signals import session_revoked

from ..conftest import DAY, ENGINES
from ..helpers.process import another_process
from ..helpers.visitor import Visitor
from .conftest import DB, SIGNED, Old, meanwhile


@pytest.fixture
def back(settings: Any) -> Any:
    settings.ROOT_URLCONF = "tests.urls_engines"

    def set_up(old: Old | None, **more: Any) -> None:
        another_process()
        settings.JWTSESSION = ({} if old is None else {"MIGRATE_TO": old.path}) | more

    return set_up


def test_session_of_ours_becomes_one_of_the_engine_of_before(
    engine: str, old: Old, back: Any, browser: Visitor, ada: User
) -> None:
    back(None)
    browser.put(basket=["book"])
    browser.login(ada)
    ours = browser.cookie
    back(old)
    assert browser.who() == "ada"
    assert browser.got not in (None, "", ours)
    assert browser.data() == {"basket": ["book"]}
    assert browser.who() == "ada"
    assert old.is_stateless or old.has(browser.cookie)
    assert not Session.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_page_that_only_reads_is_shown_though_what_moved_out_is_written_to(
    settings: Any, old_db: Old, back: Any, browser: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the browser has it is noted in its row: Django's engine takes a conflict for an end."""
    settings.SESSION_ENGINE = ENGINES["hybrid"]
    back(None)
    browser.put(basket=["book"])
    back(old_db)
    assert browser.data() == {"basket": ["book"]}
    store = import_module(DB).SessionStore
    save, met = store.save, list[bool]()

    def meets_once(session: Any, must_create: bool = False) -> None:
        if not met:
            met.append(True)
            try:
                raise OperationalError(1213, "Deadlock found when trying to get lock")
            except DatabaseError:
                raise UpdateError  # noqa: B904  # as Django does
        save(session, must_create)

    monkeypatch.setattr(store, "save", meets_once)
    assert browser.data() == {"basket": ["book"]}
    assert (browser.status, met) == (200, [True])


def test_end_of_ours_is_no_alarm(engine: str, old_db: Old, back: Any, ada: User) -> None:
    heard: list[Any] = []
    session_revoked.connect(lambda **kwargs: heard.append(kwargs), weak=False, dispatch_uid="x")
    back(None)
    browser = Visitor()
    browser.login(ada)
    copy = browser.copy()
    back(old_db)
    assert browser.who() == "ada"
    session_revoked.disconnect(dispatch_uid="x")
    assert not heard
    assert {event.kind for event in SessionEvent.objects.all()} <= {"login"}
    back(None)  # and is an end all the same
    assert copy.who() == ""


def test_token_of_ours_leads_to_the_session_until_the_browser_has_the_new_cookie(
    engine: str, old: Old, back: Any, ada: User, clock: Any
) -> None:
    back(None)
    browser = Visitor()
    browser.login(ada)
    lost = browser.copy()
    back(old)
    assert lost.who() == "ada"  # the answer is lost
    clock.shift(3600)
    under_way, thief = browser.copy(), browser.copy()
    assert browser.who() == "ada"
    assert browser.who() == "ada"
    clock.shift(200)
    assert under_way.who() == "ada"
    clock.shift(200)
    assert thief.who() == ""
    assert browser.who() == "ada"
    assert MovedSession.objects.count() == 1


def test_after_a_logout_no_token_of_ours_leads_there(
    engine: str, old: Old, back: Any, ada: User
) -> None:
    back(None)
    browser = Visitor()
    browser.login(ada)
    thief = browser.copy()
    back(old)
    assert browser.who() == "ada"
    browser.logout()
    assert thief.who() == ""


def test_logout_may_be_the_first_request(engine: str, old: Old, back: Any, ada: User) -> None:
    back(None)
    browser = Visitor()
    browser.login(ada)
    copy = browser.copy()
    back(old)
    browser.logout()
    assert copy.who() == ""


def test_token_that_had_ended_opens_nothing(
    engine: str, old: Old, back: Any, ada: User, clock: Any
) -> None:
    back(None)
    browser = Visitor()
    browser.login(ada)
    before_the_proof, ended = browser.copy(), browser.copy()
    browser.login(ada)
    clock.shift(10)
    back(old)
    assert before_the_proof.who() == ""
    back(None)
    browser.logout()
    back(old)
    assert ended.who() == ""


def test_visitor_of_the_engine_of_before_is_served_as_ever(
    engine: str, old: Old, back: Any, browser: Visitor, ada: User
) -> None:
    key = old.login(ada)
    back(old)
    browser.cookie = key
    assert browser.who() == "ada"
    assert not Session.objects.exists()
    assert not MovedSession.objects.exists()


def test_who_logs_in_has_a_session_of_the_engine_of_before(
    engine: str, old: Old, back: Any, browser: Visitor, ada: User
) -> None:
    back(old)
    browser.login(ada)
    assert browser.who() == "ada"
    assert not Session.objects.exists()


def test_in_and_out_and_in_again(
    engine: str, old: Old, back: Any, browser: Visitor, ada: User, clock: Any
) -> None:
    browser.cookie = old.login(ada, basket=["book"])
    for _ in range(2):
        for way in ({"MIGRATE_FROM": old.path}, {"MIGRATE_FROM": old.path, "MIGRATE_TO": old.path}):
            clock.shift(1000)
            back(None, **way)
            for _ in range(2):
                assert browser.who() == "ada"
                assert browser.data() == {"basket": ["book"]}


def test_time_of_the_login_comes_along_out_and_in(
    engine: str, old_db: Old, back: Any, ada: User, clock: Any
) -> None:
    """Else a second move would sign out who has ended all sessions, and logged in again."""
    back(None)
    browser = Visitor()
    browser.login(ada)
    at = browser.do(lambda request: request.session.auth_time)
    clock.shift(DAY)
    back(old_db)
    assert browser.who() == "ada"
    clock.shift(DAY)
    back(None, MIGRATE_FROM=old_db.path)
    assert browser.do(lambda request: request.session.auth_time) == at
    assert browser.do(lambda request: request.session.proved_at) is None


def test_engine_of_the_settings_may_have_gone_back_already(
    back: Any, ada: User, settings: Any
) -> None:
    settings.SESSION_ENGINE = "django_jwtsession.backends.hybrid"
    back(None)
    browser = Visitor()
    browser.login(ada)
    settings.SESSION_ENGINE = DB
    back(Old(DB))
    assert browser.who() == "ada"
    assert browser.who() == "ada"


def test_session_of_the_test_client_is_handed_over(db_engine: None, back: Any, ada: User) -> None:
    back(None)
    browser = Visitor()
    browser.client.force_login(ada)
    back(Old(SIGNED))
    assert browser.who() == "ada"
    assert ":" in browser.cookie


def test_session_that_moves_between_two_questions_is_found(
    engine: str, old: Old, back: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by 20 clients: the note was not there yet, and our row not any more."""
    back(None)
    browser = Visitor()
    browser.login(ada)
    other = browser.copy()
    back(old)
    hand_over = leaving.hand_over

    def hand_over_late(*args: Any) -> Any:
        monkeypatch.setattr(leaving, "hand_over", hand_over)
        assert meanwhile(other.who) == "ada"
        return hand_over(*args)

    monkeypatch.setattr(leaving, "hand_over", hand_over_late)
    assert browser.who() == "ada"
    assert browser.who() == "ada"
    assert old.is_stateless or browser.cookie == other.cookie
