"""Rotation, one story a test, under WSGI and ASGI."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from django_jwtsession.models import Session, SessionEvent

from .conftest import GRACE, HOUR, WINDOW, Browser, another, rotate, row

DATA = {"a": 1}
THIEF = {"address": "198.51.100.7", "agent": "curl/8.14"}


def test_cookie_is_replaced_after_an_hour_and_confirmed_by_its_next_use(
    browser: Browser, clock: Any
) -> None:
    clock.shift(HOUR - 1)
    assert browser.get() == DATA
    assert browser.claims.gen == 0
    clock.shift(WINDOW + 1)
    assert browser.get() == DATA
    assert browser.claims.gen == 1
    assert row().generation == 0
    clock.shift(WINDOW + 1)
    assert browser.get() == DATA
    assert row().generation == 1
    assert row().next_issued_at is None


def test_confirmed_generation_lasts_an_hour_again(browser: Browser, clock: Any) -> None:
    rotate(browser, clock)
    clock.shift(HOUR - 1)
    browser.get()
    assert browser.claims.gen == 1
    clock.shift(WINDOW + 1)
    browser.get()
    assert browser.claims.gen == 2


def test_rotation_changes_neither_session_nor_data(browser: Browser, clock: Any) -> None:
    before = row()
    rotate(browser, clock)
    assert row().pk == before.pk
    assert row().get_decoded() == DATA
    assert row().version > before.version


def test_lost_response_is_issued_again(browser: Browser, clock: Any) -> None:
    first = browser.cookie
    clock.shift(HOUR + 1)
    browser.get()
    browser.cookie = first  # the answer never arrived
    clock.shift(6 * HOUR)
    assert browser.get() == DATA
    assert browser.claims.gen == 1
    clock.shift(WINDOW + 1)
    assert browser.get() == DATA
    assert row().generation == 1


def test_late_request_with_the_last_generation_gets_the_current_one(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    late = another(browser)
    rotate(browser, clock)
    clock.shift(GRACE)
    assert late.get() == DATA
    assert late.claims.gen == 1
    assert reused == []


@pytest.mark.requirement("RFC 9700 4.14.2")
def test_old_copy_ends_the_session_for_both(
    browser: Browser, clock: Any, reused: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    thief = another(browser, **THIEF)
    sid, copy = row().sid, thief.cookie
    rotate(browser, clock)
    clock.shift(GRACE + 1)
    with caplog.at_level(logging.DEBUG):
        assert thief.get() == {}
        assert thief.cookie == ""
        assert browser.get() == {}
        assert another(browser, copy).get() == {}
        clock.shift(WINDOW + 1)
        assert browser.get() == {}
        assert browser.cookie  # deleted is only what this very request has ended
    assert not Session.objects.exists()
    event = SessionEvent.objects.get()
    assert (event.kind, event.sid) == ("token_reuse", sid)
    assert event.detail == {"ip_address": browser.address, "user_agent": browser.agent}
    assert event.user_agent == THIEF["agent"]
    [sent] = reused
    assert (sent["sid"], sent["user_id"], sent["event"]) == (sid, None, event)
    [record] = [r for r in caplog.records if getattr(r, "reason", "") == "token_reuse"]
    assert (record.name, record.levelname) == ("django.security.jwtsession", "WARNING")
    assert copy not in caplog.text


def test_both_addresses_are_recorded(db: None, clock: Any, reused: list[Any]) -> None:
    browser = Browser("wsgi")
    browser.get(a=1)
    thief = another(browser, **THIEF)
    rotate(browser, clock)
    clock.shift(GRACE + 1)
    thief.get()
    event = SessionEvent.objects.get()
    assert (event.ip_address, event.detail["ip_address"]) == (THIEF["address"], browser.address)
    assert reused[0]["environ"]["REMOTE_ADDR"] == THIEF["address"]


def test_browser_that_sat_out_what_a_thief_did_is_found_as_well(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    thief = another(browser, **THIEF)
    rotate(thief, clock)
    clock.shift(GRACE + 1)
    assert browser.get() == {}
    assert thief.get() == {}
    [sent] = reused
    assert sent["event"].user_agent == browser.agent


def test_write_with_an_old_copy_is_refused_as_well(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    thief = another(browser, **THIEF)
    rotate(browser, clock)
    clock.shift(GRACE + 1)
    thief.get(a="theirs")
    assert browser.get() == {}
    assert len(reused) == 1
    for session in Session.objects.all():  # what the thief wrote began a session of its own
        assert session.get_decoded() == {"a": "theirs"}
        assert session.user_id is None


def test_thief_in_step_with_the_browser_is_not_seen(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    thief = another(browser, **THIEF)
    for _ in range(5):
        rotate(browser, clock)
        assert thief.get() == DATA
    assert reused == []


def test_restored_backup_refuses_and_accuses_nobody(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    backup = Session.objects.values().get()
    rotate(browser, clock)
    Session.objects.update(**{k: v for k, v in backup.items() if k != "id"})
    assert browser.claims.gen == 1
    clock.shift(WINDOW + 1)
    assert browser.get() == {}
    assert Session.objects.count() == 1
    assert reused == []
    assert not SessionEvent.objects.exists()


def test_without_rotate_after_nothing_rotates(
    browser: Browser, clock: Any, settings: Any, reused: list[Any]
) -> None:
    settings.JWTSESSION = {"ROTATE_AFTER": None}
    old = another(browser)
    for _ in range(5):
        clock.shift(HOUR)
        assert browser.get() == DATA
    assert browser.claims.gen == 0
    assert old.get() == DATA
    assert reused == []


def test_rotation_that_is_turned_off_later_logs_nobody_out(
    browser: Browser, clock: Any, settings: Any, reused: list[Any]
) -> None:
    old = another(browser)
    rotate(browser, clock)
    clock.shift(HOUR)
    browser.get()
    settings.JWTSESSION = {"ROTATE_AFTER": None}
    clock.shift(HOUR)
    assert browser.get() == DATA
    assert old.get() == DATA
    assert reused == []


def test_session_too_big_for_its_cookie_rotates(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    browser.get(big="x" * 5000)
    assert browser.claims.big == 1
    old = another(browser)
    rotate(browser, clock)
    assert row().generation == 1
    clock.shift(GRACE + 1)
    assert browser.get()["big"] == "x" * 5000
    assert old.get() == {}
    assert len(reused) == 1


def upload(browser: Browser, **writes: Any) -> Any:
    """Send what a proxy has collected for minutes; its cookie is as old as that."""
    extra, named = browser.headers
    browser.headers = extra, named | {"Content-Length": "9000000"}
    seen = browser.get(**writes)
    browser.headers = extra, named
    return seen


def test_upload_of_a_quarter_of_an_hour_is_no_alarm_and_gets_no_cookie(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    tab = another(browser)
    rotate(browser, clock)
    clock.shift(900)
    old = tab.cookie
    assert upload(tab, file="sent") == DATA
    assert tab.cookie == old
    assert reused == []
    clock.shift(WINDOW + 1)
    assert browser.get() == DATA | {"file": "sent"}


def test_copy_behind_a_long_body_is_found_half_an_hour_later(
    browser: Browser, clock: Any, reused: list[Any]
) -> None:
    thief = another(browser, **THIEF)
    rotate(browser, clock)
    clock.shift(1801)
    assert upload(thief) == {}
    assert len(reused) == 1


@pytest.mark.parametrize("lost", [0, 6 * HOUR])
@pytest.mark.parametrize("alive_for", [1, 29])
def test_browser_that_is_killed_before_it_wrote_its_cookie_file_is_no_thief(
    browser: Browser, clock: Any, reused: list[Any], lost: int, alive_for: int
) -> None:
    """Chromium writes it every 30 s, and comes back with the older cookie (lost: an answer was)."""
    file = browser.cookie
    clock.shift(HOUR + 1)
    browser.get()
    if lost:
        browser.cookie = file
        clock.shift(lost)
        browser.get()
    assert browser.claims.gen == 1
    clock.shift(alive_for)
    assert browser.get(act=lambda session: session.revalidate()) == DATA
    browser.cookie = file
    clock.shift(12 * HOUR)
    assert browser.get() == DATA
    assert reused == []


@pytest.mark.parametrize("seconds", [WINDOW - 1, 30, 5])
def test_page_that_writes_all_the_time_rotates_too(
    browser: Browser, clock: Any, seconds: int
) -> None:
    for count in range(HOUR // seconds // (30 if seconds == 5 else 1)):
        clock.shift(seconds)
        browser.get(count=count)
    clock.shift(HOUR)
    for count in range((GRACE + WINDOW) // seconds + 2):  # none of its cookies gets old
        clock.shift(seconds)
        browser.get(count=-count)
    assert row().generation == 1
