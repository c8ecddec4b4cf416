"""MIGRATE_FROM: sessions of other engines become ours, once, and nobody is signed out."""

from __future__ import annotations

import pickle
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_jwtsession.conf import JSON_SERIALIZER
from django_jwtsession.models import MovedSession, Session
from django_jwtsession.moving import arriving
from django_jwtsession.moving.engines import Rows
from django_jwtsession.revocation import revoke_user_sessions

from .. import urls_engines
from ..conftest import DAY, NOW
from ..helpers.process import another_process
from ..helpers.visitor import Visitor
from .conftest import DB, SIGNED, USERS, Old, login_data, meanwhile, old_of, old_rows


def come(browser: Visitor, key: str) -> Visitor:
    browser.cookie = key
    return browser


def test_session_of_before_becomes_one_of_ours(
    engine: str, old: Old, moving_in: Any, browser: Visitor, ada: User
) -> None:
    key = old.login(ada, basket=["book"])
    moving_in(old)
    come(browser, key)
    assert browser.who() == "ada"
    assert browser.got not in (None, "", key)
    assert browser.data() == {"basket": ["book"]}
    assert browser.who() == "ada"
    assert old.is_stateless or not old.has(key)
    assert Session.objects.count() == (0 if engine == "cookie" else 1)


def test_session_in_a_file_becomes_one_of_ours_and_goes_back(
    engine: str, old_file: Old, moving_in: Any, browser: Visitor, ada: User, settings: Any
) -> None:
    key = old_file.login(ada, basket=["book"])
    moving_in(old_file)
    assert come(browser, key).data() == {"basket": ["book"]}
    assert browser.who() == "ada"
    assert not old_file.has(key)
    moving_in(None, MIGRATE_TO=old_file.path)
    assert browser.who() == "ada"
    assert browser.data() == {"basket": ["book"]}
    assert old_file.has(browser.cookie)
    assert not Session.objects.exists()
    browser.logout()
    assert Visitor(cookie=key).who() == ""


def test_visitor_of_before_keeps_the_basket(
    engine: str, old: Old, moving_in: Any, browser: Visitor
) -> None:
    key = old.new({"basket": ["book"]})
    moving_in(old)
    assert come(browser, key).data() == {"basket": ["book"]}
    assert browser.data() == {"basket": ["book"]}


def test_after_a_logout_the_cookie_of_before_is_not_let_in_again(
    engine: str, old: Old, moving_in: Any, browser: Visitor, ada: User
) -> None:
    key = old.login(ada)
    moving_in(old)
    assert come(browser, key).who() == "ada"
    browser.logout()
    another_process()
    for mode in ("sync", "async"):
        thief = Visitor(mode, key)
        assert thief.who() == ""
        assert thief.data() == {}
    assert not Session.objects.exists()


def test_logout_may_be_the_first_thing_that_comes(
    engine: str, old: Old, moving_in: Any, ada: User
) -> None:
    key = old.login(ada)
    moving_in(old)
    Visitor(cookie=key).logout()
    assert Visitor(cookie=key).who() == ""
    assert old.is_stateless or not old.has(key)


def test_cookie_of_before_leads_to_the_session_until_the_browser_has_the_new_one(
    engine: str, old: Old, moving_in: Any, ada: User, clock: Any
) -> None:
    key = old.login(ada)
    moving_in(old)
    lost = Visitor(cookie=key)
    sid = lost.sid()
    clock.shift(3600)  # the answer was lost; another request goes to another server
    another_process()
    browser = Visitor(cookie=key)
    assert browser.who() == "ada"
    assert browser.sid() == sid
    clock.shift(200)
    assert Visitor(cookie=key).sid() == sid  # one that was under way
    clock.shift(200)
    assert Visitor(cookie=key).who() == ""  # a copy that somebody has kept
    assert browser.who() == "ada"
    assert MovedSession.objects.count() == 1


def test_cookie_of_before_opens_nothing_after_a_login(
    engine: str, old: Old, moving_in: Any, ada: User, clock: Any
) -> None:
    """Session fixation: who has planted the cookie of an anonymous session."""
    key = old.new({"basket": ["planted"]})
    moving_in(old)
    browser = Visitor(cookie=key)
    browser.data()
    browser.login(ada)
    clock.shift(6)
    assert Visitor(cookie=key).who() == ""


def test_move_is_no_proof_of_identity(
    engine: str, old_db: Old, moving_in: Any, ada: User, clock: Any
) -> None:
    key = old_db.login(ada)
    moving_in(old_db)
    browser = Visitor(cookie=key)
    clock.shift(60)
    session = browser.do(lambda request: request.session)
    assert session.proved_at is None
    assert session.auth_time == NOW + 60


def test_password_that_was_changed_ends_the_session_of_before(
    engine: str, old: Old, moving_in: Any, ada: User
) -> None:
    key = old.login(ada)
    ada.set_password("another")
    ada.save()
    moving_in(old)
    assert Visitor(cookie=key).who() == ""
    assert not Session.objects.exists()


def test_hash_of_a_fallback_key_still_counts(
    engine: str, old: Old, moving_in: Any, ada: User, settings: Any
) -> None:
    key = old.login(ada)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new secret key of more than thirty-two characters in length"
    moving_in(old)
    browser = Visitor(cookie=key)
    assert browser.who() == "ada"
    assert browser.who() == "ada"


def test_garbage_makes_no_row_anywhere(engine: str, old: Old, moving_in: Any) -> None:
    moving_in(old)
    before = old_rows()
    for cookie in ("x", "x" * 32, "a:b:c", "\x00" * 32, "é" * 32, "x" * 9000, "a.b.c"):
        assert Visitor(cookie=cookie).who() == ""
    assert old_rows() == before
    assert not Session.objects.exists()
    assert not MovedSession.objects.exists()


# --- what comes along -----------------------------------------------------------------------------


def test_end_comes_along(
    engine: str, old_db: Old, moving_in: Any, ada: User, clock: Any, settings: Any
) -> None:
    key = old_db.login(ada)
    clock.shift(DAY)
    moving_in(old_db)
    browser = Visitor(cookie=key)
    left = browser.do(lambda request: request.session.expires_at - NOW)
    assert left == settings.SESSION_COOKIE_AGE
    clock.shift(settings.SESSION_COOKIE_AGE)
    assert browser.who() == ""


def test_expiry_of_its_own_comes_along(engine: str, old: Old, moving_in: Any, ada: User) -> None:
    key = old.login(ada, _session_expiry=100)
    moving_in(old)
    age, left = Visitor(cookie=key).do(
        lambda request: (
            request.session.get_expiry_age(),
            request.session.expires_at - time.time(),
        )
    )
    assert age == 100
    assert 90 < left <= 100


@pytest.mark.parametrize("switches_on", [True, False])
def test_fixed_end_comes_along_where_use_tz_is_switched_on_the_way(
    engine: str, old: Old, moving_in: Any, ada: User, settings: Any, switches_on: bool
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = not switches_on, "UTC"  # as the rows' own column is
    end = timezone.now() + timedelta(days=2)
    key = old.login(ada, _session_expiry=end.isoformat())
    settings.USE_TZ = switches_on
    moving_in(old)
    browser = Visitor(cookie=key)
    left = browser.do(lambda request: request.session.expires_at - time.time())
    assert abs(left - 2 * DAY) < 5
    assert browser.who() == "ada"


def test_session_that_has_expired_is_not_let_in(
    engine: str, old: Old, moving_in: Any, ada: User, clock: Any
) -> None:
    key = old.login(ada, _session_expiry=100)
    moving_in(old)
    clock.shift(101)
    assert Visitor(cookie=key).who() == ""
    assert not Session.objects.exists()


@pytest.mark.parametrize("path", [USERS, "qsessions.backends.db"])
def test_device_beside_the_data_comes_along(
    path: str, db_engine: None, moving_in: Any, ada: User
) -> None:
    old = old_of(path)
    agent = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0"
    key = old.new(login_data(ada), user_agent=agent, ip="192.0.2.7")
    moving_in(old)
    assert Visitor(cookie=key).who() == "ada"
    row = Session.objects.get()
    assert (row.user_id, row.ip_address, row.browser) == (ada.pk, "192.0.2.7", "Firefox 149")
    assert row.user_agent == agent


def test_device_of_the_request_is_noted_if_there_is_no_other(
    db_engine: None, old_db: Old, moving_in: Any, ada: User
) -> None:
    key = old_db.login(ada)
    moving_in(old_db)
    Visitor(cookie=key).data(**{"User-Agent": "curl/8.0"})
    row = Session.objects.get()
    assert (row.ip_address, row.user_agent) == ("127.0.0.1", "curl/8.0")


def test_cookie_of_another_name_is_read(
    engine: str, old_db: Old, moving_in: Any, ada: User
) -> None:
    key = old_db.login(ada)
    moving_in(None, MIGRATE_FROM=[{"engine": old_db.path, "cookie": "oldid"}])
    browser = Visitor()
    browser.client.cookies["oldid"] = key
    assert browser.who() == "ada"
    assert browser.cookie
    browser.logout()
    assert browser.who() == ""


def test_cookie_of_a_former_name_is_read_and_deleted(
    engine: str, old_db: Old, moving_in: Any, ada: User
) -> None:
    key = old_db.login(ada)
    moving_in(old_db, COOKIE_WAS=[{"name": "oldid"}])
    browser = Visitor()
    browser.client.cookies["oldid"] = key
    assert browser.who() == "ada"
    assert browser.response.cookies["oldid; ; /"].value == ""
    assert browser.who() == "ada"


def test_policy_is_asked_as_at_a_login(
    engine: str, old_db: Old, moving_in: Any, ada: User, settings: Any
) -> None:
    ada.is_staff = True
    ada.save()
    key = old_db.login(ada)
    moving_in(old_db, POLICY="django_jwtsession.policy.staff")
    age = Visitor(cookie=key).do(lambda request: request.session.get_expiry_age())
    assert age == 3600


def test_list_of_engines_is_asked_in_turn(engine: str, moving_in: Any, ada: User) -> None:
    one, other = old_of(USERS), Old(DB)
    keys = one.login(ada), other.login(ada)
    moving_in(None, MIGRATE_FROM=[one.path, other.path, SIGNED])
    assert [Visitor(cookie=key).who() for key in keys] == ["ada", "ada"]
    assert Visitor(cookie=Old(SIGNED).login(ada)).who() == "ada"


# --- attacks, and what cannot move ----------------------------------------------------------------


@pytest.mark.parametrize("gone", ["deleted", "inactive"])
def test_user_who_is_gone_is_not_logged_in(
    engine: str, old_db: Old, moving_in: Any, ada: User, gone: str
) -> None:
    key = old_db.login(ada, basket=["book"])
    if gone == "deleted":
        ada.delete()
    else:
        User.objects.update(is_active=False)
    moving_in(old_db)
    browser = Visitor(cookie=key)
    assert browser.who() == ""
    assert browser.data() == {"basket": ["book"]}
    User.objects.update(is_active=True)
    assert browser.who() == ""
    assert not Session.objects.exclude(user=None).exists()


def test_end_of_all_sessions_ends_those_that_have_not_moved(
    engine: str, old: Old, moving_in: Any, ada: User
) -> None:
    key = old.login(ada)
    moving_in(old)
    revoke_user_sessions(ada)
    assert Visitor(cookie=key).who() == ""
    assert old.is_stateless or not old.has(key)


def test_refused_token_of_ours_does_not_lead_to_the_engine_of_before(
    engine: str, old_db: Old, moving_in: Any, ada: User
) -> None:
    moving_in(old_db)
    browser = Visitor()
    browser.login(ada)
    ended = browser.copy()
    browser.logout()
    with CaptureQueriesContext(connection) as queries:
        assert ended.who() == ""
    assert not [query for query in queries if "django_session" in query["sql"]]


def test_living_session_of_ours_is_not_replaced_by_a_cookie_of_before(
    engine: str, moving_in: Any, ada: User
) -> None:
    bob = User.objects.create_user("bob")
    old = Old(DB)
    key = old.login(bob)
    moving_in(None, MIGRATE_FROM={"engine": DB, "cookie": "oldid"})
    browser = Visitor()
    browser.login(ada)
    browser.client.cookies["oldid"] = key
    assert browser.who() == "ada"


def test_session_too_large_for_a_cookie_stays_where_it_is(
    cookie_engine: None, old_db: Old, moving_in: Any, browser: Visitor, ada: User
) -> None:
    key = old_db.login(ada, much="x" * 5000)
    moving_in(old_db)
    assert come(browser, key).who() == "ada"
    assert browser.status == 200
    assert old_db.has(key)
    browser.put(much="")  # and comes when it fits
    assert browser.who() == "ada"
    assert not old_db.has(key)
    assert browser.who() == "ada"


class Pickles:
    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, value: bytes) -> Any:
        return pickle.loads(value)


def test_data_of_another_serializer_stays_and_nothing_is_lost(
    engine: str, old_db: Old, moving_in: Any, settings: Any, ada: User
) -> None:
    settings.SESSION_SERIALIZER = f"{__name__}.Pickles"
    key = old_db.login(ada, when=datetime(2026, 1, 1))
    settings.SESSION_SERIALIZER = JSON_SERIALIZER
    moving_in(old_db)
    assert Visitor(cookie=key).who() == ""
    assert old_db.has(key)
    moving_in(None, MIGRATE_FROM={"engine": DB, "serializer": f"{__name__}.Pickles"})
    browser = Visitor(cookie=key)  # can be read now, and is no JSON
    assert browser.who() == "ada"
    assert old_db.has(key)
    settings.SESSION_SERIALIZER = f"{__name__}.Pickles"
    assert browser.who() == "ada"
    assert not old_db.has(key)


def test_site_without_the_setting_asks_nobody(engine: str, old_db: Old, ada: User) -> None:
    key = old_db.login(ada)
    with override_settings(ROOT_URLCONF="tests.urls_engines"):
        assert Visitor(cookie=key).who() == ""
    assert old_db.has(key)


def test_view_that_fails_loses_nothing(engine: str, old: Old, moving_in: Any, ada: User) -> None:
    def fail(request: Any) -> None:
        raise ValueError("the view's own")

    key = old.login(ada)
    moving_in(old)
    browser = Visitor(cookie=key)
    browser.client.raise_request_exception = False
    with suppress(ValueError):
        browser.send(fail, None, "get")
    assert browser.status == 500
    assert browser.cookie == key
    assert browser.who() == "ada"


def test_page_that_others_may_store_stays_public(
    engine: str, old_db: Old, moving_in: Any, ada: User
) -> None:
    def public(request: Any) -> HttpResponse:
        request.session.get("")
        return HttpResponse(headers={"Cache-Control": "public, max-age=60"})

    key = old_db.login(ada)
    moving_in(old_db)
    browser = Visitor(cookie=key)
    assert browser.who() == "ada"
    urls_engines.Page.view = staticmethod(public)
    response = browser.client.get("/")
    assert response["Cache-Control"] == "public, max-age=60"
    assert not response.cookies
    assert MovedSession.objects.get().confirmed_at is None
    assert browser.who() == "ada"
    assert MovedSession.objects.get().confirmed_at


# --- races ----------------------------------------------------------------------------------------


def test_session_that_moves_between_two_questions_is_found(
    engine: str, old_db: Old, moving_in: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by 20 clients: the note was not there yet, and the row not any more."""
    key = old_db.login(ada)
    moving_in(old_db)
    find, sids = Rows.find, []

    def find_late(self: Rows, value: str, environ: Any) -> Any:
        monkeypatch.setattr(Rows, "find", find)
        sids.append(meanwhile(Visitor(cookie=key).sid))
        return find(self, value, environ)

    monkeypatch.setattr(Rows, "find", find_late)
    browser = Visitor(cookie=key)
    assert browser.who() == "ada"
    assert [browser.sid()] == sids
    assert browser.cookie != key


def test_session_that_another_request_has_just_taken_is_found(
    engine: str, old: Old, moving_in: Any, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = old.login(ada)
    moving_in(old)
    made, sids = arriving._made, []

    def make_late(*args: Any) -> Any:
        monkeypatch.setattr(arriving, "_made", made)
        sids.append(meanwhile(Visitor(cookie=key).sid))
        return made(*args)

    monkeypatch.setattr(arriving, "_made", make_late)
    browser = Visitor(cookie=key)
    assert browser.who() == "ada"
    assert [browser.sid()] == sids


def test_cookie_that_an_engine_of_files_calls_suspicious_is_nobodys(
    engine: str, moving_in: Any, browser: Visitor
) -> None:
    """As with that engine alone; it was answered 400."""
    moving_in(Old("django.contrib.sessions.backends.file"))
    browser.cookie = "-" * 32
    assert browser.who() == ""
    assert browser.status == 200
