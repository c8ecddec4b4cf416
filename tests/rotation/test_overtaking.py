"""Rotation while other things happen: slow and failing requests, logins, parallel writes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse

from django_jwtsession.backends import rows
from django_jwtsession.backends.hybrid import SessionStore
from django_jwtsession.models import Session, SessionEvent

from ..conftest import NOW
from ..urls_engines import Page
from .conftest import GRACE, HOUR, WINDOW, Browser, another, rotate, row

DATA = {"a": 1}


def deliver_late(browser: Browser, view: Callable[[], Any], **kwargs: Any) -> None:
    """Visit in another tab while `view` happens in this one; its answer comes after all others."""
    tab = another(browser)
    tab.get(then=view, **kwargs)
    if tab.response.cookies:
        browser.cookie = tab.cookie


def elsewhere(cookie: str, **values: Any) -> None:
    """Write to the session as a parallel request does."""
    session = SessionStore(cookie)
    session.update(values)
    session.save()


# --- slow, failing and speculative requests ------------------------------------------------------


def test_two_minutes_export_does_not_put_an_old_generation_back(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    clock.shift(HOUR - 10)

    def meanwhile() -> None:
        clock.shift(20)
        browser.get()
        clock.shift(WINDOW + 1)
        browser.get()
        assert row().generation == 1
        clock.shift(39)

    deliver_late(browser, meanwhile)
    assert browser.claims.gen == 1
    clock.shift(24 * HOUR)
    assert browser.get() == DATA
    assert reused == []


def test_two_minutes_write_does_not_put_an_old_generation_back(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    clock.shift(HOUR - 10)
    browser.get()

    def meanwhile() -> None:
        clock.shift(WINDOW + 1)
        browser.get()

    deliver_late(browser, meanwhile, b=2)
    assert browser.claims.gen == 1
    assert browser.claims.d == {"a": 1, "b": 2}
    clock.shift(24 * HOUR)
    assert browser.get() == {"a": 1, "b": 2}
    assert reused == []


def test_page_that_asks_the_row_again_begins_no_second_rotation(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    clock.shift(HOUR + 10)
    tab = another(browser)
    late = another(browser)

    def meanwhile() -> None:
        browser.get()
        clock.shift(WINDOW + 1)
        browser.get()
        assert row().generation == 1
        clock.shift(WINDOW + 1)

    tab.get(then=meanwhile, act=SessionStore.revalidate)
    assert row().next_issued_at is None
    browser.get()
    late.get()
    assert reused == []


def test_rotation_counts_from_when_its_answer_left(browser: Browser, clock: Any) -> None:
    clock.shift(HOUR)
    browser.get(then=lambda: clock.shift(100))
    assert row().next_issued_at.timestamp() == NOW + HOUR + 100
    clock.shift(WINDOW)
    browser.get(then=lambda: clock.shift(100))
    assert row().generation_confirmed_at.timestamp() == NOW + HOUR + 100 + WINDOW + 100


def test_write_on_a_copy_learns_of_a_rotation_that_is_pending(browser: Browser, clock: Any) -> None:
    clock.shift(HOUR - 10)
    tab = another(browser)
    tab.get()
    clock.shift(11)
    browser.get()
    clock.shift(16)
    tab.get(b=2)
    assert (browser.claims.gen, tab.claims.gen) == (1, 1)


@pytest.mark.parametrize("window", [0, WINDOW])
def test_answer_from_before_the_rotation_that_arrives_last_logs_nobody_out(
    browser: Browser, clock: Any, reused: list[Any], window: int, settings: Any
) -> None:
    settings.JWTSESSION = {"REVALIDATE_AFTER": window}
    clock.shift(HOUR - 1)
    late = another(browser)
    late.get()
    clock.shift(1)
    browser.get()
    clock.shift(1)
    browser.get()
    browser.cookie = late.cookie
    clock.shift(24 * HOUR)
    assert browser.get() == DATA
    assert reused == []


def test_failed_answers_rotate_nothing(browser: Browser, clock: Any, reused: list[Any]) -> None:
    clock.shift(HOUR + 1)
    assert browser.get(status=500) == DATA
    assert not browser.response.cookies
    assert row().next_issued_at is None
    browser.get()
    clock.shift(WINDOW + 1)
    browser.get(status=500)
    assert row().generation == 0
    clock.shift(24 * HOUR)
    assert browser.get() == DATA
    assert row().generation == 1
    assert reused == []


@pytest.mark.parametrize(
    "headers", [{"Sec-Purpose": "prefetch"}, {"X-Session-Passive": "1"}], ids=["prefetch", "poll"]
)
def test_passive_request_rotates_as_any_other(
    browser: Browser, clock: Any, headers: dict[str, str]
) -> None:
    """Or who holds a copy could hide behind the header."""
    clock.shift(HOUR + 1)
    assert browser.get(headers=headers) == DATA
    assert row().next_issued_at is not None
    clock.shift(WINDOW + 1)
    browser.get(headers=headers)
    assert row().generation == 1


def test_stream_that_asks_for_hours_is_no_thief(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    stream = SessionStore(browser.cookie)
    assert stream["a"] == 1
    for _ in range(4):
        rotate(browser, clock)
        clock.shift(GRACE + 1)
        stream.revalidate()
        assert stream["a"] == 1
    assert reused == []


def test_view_that_is_rolled_back_does_not_log_out(
    transactional_db: None, clock: Any, reused: list[Any]
) -> None:
    browser = Browser("wsgi")
    browser.get(a=1)
    for shift, generation in ((HOUR + 1, 0), (WINDOW + 1, 1), (WINDOW + 1, 1)):
        clock.shift(shift)
        rolled_back(browser, status=404)
        assert browser.claims.gen == 1
        assert row().generation == generation
    assert browser.get() == DATA
    assert reused == []


def test_view_that_is_rolled_back_ends_the_session_all_the_same(
    transactional_db: None, clock: Any
) -> None:
    browser = Browser("wsgi")
    browser.get(a=1)
    thief = another(browser)
    rotate(browser, clock)
    clock.shift(GRACE + 1)
    rolled_back(thief, status=403)
    assert not Session.objects.exists()
    assert SessionEvent.objects.get().kind == "token_reuse"


def rolled_back(browser: Browser, status: int) -> None:
    """Visit a view that reads the session and raises, inside ATOMIC_REQUESTS."""

    def view(request: HttpRequest) -> HttpResponse:
        try:
            with transaction.atomic():
                request.session.get("a")
                raise Http404
        except Http404:
            return HttpResponse(status=status)

    Page.view = staticmethod(view)
    browser.client.get("/")


def test_no_row_is_locked_while_the_view_runs(browser: Browser, clock: Any) -> None:
    def nothing_is_written_yet() -> None:
        assert row().next_issued_at is None
        assert row().version == 1

    clock.shift(HOUR + 1)
    assert browser.get(then=nothing_is_written_yet) == DATA
    assert row().next_issued_at is not None


# --- logins and refreshes ------------------------------------------------------------------------


def test_login_while_a_rotation_is_pending_goes_on_rotating(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    clock.shift(HOUR + 1)
    browser.get()
    old, epoch = browser.cookie, row().epoch
    assert browser.claims.gen == 1
    browser.get(act=lambda session: session.cycle_key())
    assert row().epoch > epoch
    assert (browser.claims.ep, browser.claims.gen) == (row().epoch, 0)
    assert (row().generation, row().next_issued_at) == (0, None)
    clock.shift(WINDOW + 1)
    assert another(browser, old).get() == {}
    assert browser.get() == DATA
    rotate(browser, clock)
    assert (browser.claims.gen, row().generation) == (1, 1)
    assert another(browser, old).get() == {}
    assert browser.get() == DATA
    assert reused == []


def test_refresh_and_rotation_share_a_response(browser: Browser, clock: Any) -> None:
    half = settings.SESSION_COOKIE_AGE / 2
    clock.shift(half + 10)
    assert browser.get() == DATA
    assert browser.claims.gen == 1
    assert browser.response.cookies["sessionid"]["max-age"] == settings.SESSION_COOKIE_AGE
    clock.shift(settings.SESSION_COOKIE_AGE - 10)
    assert browser.get() == DATA


def test_logged_in_session_rotates_like_an_anonymous_one(browser: Browser, clock: Any) -> None:
    browser.get(**{SESSION_KEY: "1"})
    rotate(browser, clock)
    assert (browser.claims.gen, browser.claims.sub) == (1, "1")


def test_late_answer_of_an_ended_session_leaves_a_newer_login_alone(
    browser: Browser, clock: Any
) -> None:
    slow = another(browser)

    def log_out_and_in() -> None:
        browser.get(act=lambda session: session.flush())
        browser.get(b=2)
        clock.shift(10)

    slow.get(first=log_out_and_in)
    deletes = "sessionid" in slow.response.cookies
    assert not deletes


# --- nothing is lost -----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["db", "hybrid"])
def test_write_after_refresh_by_hand_keeps_what_others_wrote(
    db: None, clock: Any, engine: str
) -> None:
    store = import_module(f"django_jwtsession.backends.{engine}").SessionStore
    session = store()
    session["a"] = 1
    session.save()
    mine, theirs = store(session.session_key), store(session.session_key)
    assert mine["a"] == 1
    theirs["b"] = 2
    theirs.save()
    clock.shift(settings.SESSION_COOKIE_AGE / 2)
    assert mine.refresh()
    assert mine["b"] == 2
    mine["c"] = 3
    mine.save()
    assert row().get_decoded() == {"a": 1, "b": 2, "c": 3}


def test_login_keeps_what_a_parallel_request_wrote(browser: Browser) -> None:
    cookie = browser.cookie
    browser.get(
        then=lambda: elsewhere(cookie, b=2),
        act=lambda session: session.cycle_key(),
    )
    assert row().get_decoded() == {"a": 1, "b": 2}


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("statement", ["fetch", "update_where"])
def test_write_in_the_midst_of_a_rotation_is_kept(
    browser: Browser, clock: Any, monkeypatch: pytest.MonkeyPatch, statement: str, pending: bool
) -> None:
    clock.shift(HOUR + 1)
    if pending:
        browser.get()
        clock.shift(WINDOW + 1)
    cookie, real, calls = browser.cookie, getattr(rows, statement), []

    def after_another_write(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            elsewhere(cookie, b=2)
        return real(*args, **kwargs)

    monkeypatch.setattr(rows, statement, after_another_write)
    browser.get(c=3)
    assert len(calls) > 1 or statement == "update_where"
    assert row().get_decoded() == {"a": 1, "b": 2, "c": 3}
    assert row().generation == int(pending)


@pytest.mark.parametrize("pending", [False, True])
def test_write_across_a_rotation_that_a_proof_has_overtaken_is_kept(
    browser: Browser, clock: Any, pending: bool
) -> None:
    clock.shift(HOUR + 1)
    if pending:
        browser.get()
        clock.shift(WINDOW + 1)
    tab = another(browser)
    tab.get(then=lambda: browser.get(act=lambda session: session.prove()), b=2)
    assert tab.response.status_code == 200
    assert not tab.response.cookies
    assert row().get_decoded() == {"a": 1, "b": 2}
    assert browser.get() == {"a": 1, "b": 2}
    assert browser.claims.ep == row().epoch


def test_late_answer_brings_no_cookie_of_before_though_the_clock_was_set_back(
    browser: Browser, clock: Any
) -> None:
    clock.shift(WINDOW + 1)

    def meanwhile() -> None:
        browser.get(act=lambda session: session.prove())
        clock.shift(-5)

    tab = another(browser)
    assert tab.get(then=meanwhile) == DATA
    assert not tab.response.cookies
    assert browser.get() == DATA


def test_quick_answer_brings_no_cookie_of_an_epoch_that_this_process_knows_to_have_passed(
    browser: Browser, clock: Any
) -> None:
    clock.shift(WINDOW + 1)
    tab = another(browser)
    assert tab.get(then=lambda: browser.get(act=lambda session: session.prove())) == DATA
    assert not tab.response.cookies
    assert browser.get() == DATA
