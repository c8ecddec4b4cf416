"""A refused cookie stays in the browser, the log counts instead of filling up."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client

from ..backends.test_bad_cookie import issue
from ..conftest import DAY, ENGINES, WEEK, Visit, cookie, read, write
from .conftest import Asker

pytestmark = pytest.mark.django_db
NEXT_SECRET = "the next secret of a rolling deploy, of more than 32 bytes"


def anonymous_and_cookie_stays(ask: Asker) -> bool:
    response = ask(read)
    return response.content == b"[]" and not response.cookies


def test_expired_cookie_is_left_alone(engine: str, ask: Asker, clock: Any) -> None:
    ask(write(x=1))
    clock.shift(WEEK + 20)
    assert anonymous_and_cookie_stays(ask)


def test_cookie_under_a_key_that_this_server_has_not_yet_is_left_alone(
    engine: str, ask: Asker, settings: Any
) -> None:
    old = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEXT_SECRET, [old]
    ask(write(x=1))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = old, []
    assert anonymous_and_cookie_stays(ask)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEXT_SECRET, [old]
    assert ask(read).content == b"[('x', 1)]"


def test_cookie_for_another_audience_is_left_alone(engine: str, ask: Asker, settings: Any) -> None:
    settings.JWTSESSION = {"AUDIENCE": "one"}
    ask(write(x=1))
    settings.JWTSESSION = {"AUDIENCE": "two"}
    assert anonymous_and_cookie_stays(ask)


def test_cookie_from_a_server_whose_clock_is_ahead_is_left_alone(
    engine: str, ask: Asker, clock: Any
) -> None:
    clock.shift(20)
    ask(write(x=1))
    clock.shift(-20)
    assert anonymous_and_cookie_stays(ask)
    clock.shift(20)
    assert ask(read).content == b"[('x', 1)]"


def test_cookie_from_before_a_password_change_is_left_alone(
    engine: str, ask: Asker, user: Any
) -> None:
    ask.client.force_login(user)
    other_tab = ask.another()
    ask(lambda request: request.session.cycle_key())
    response = other_tab(read)
    assert not response.cookies


def test_session_that_ended_elsewhere_during_the_request_leaves_the_cookie_alone(
    engine: str, ask: Asker, user: Any
) -> None:
    from django_jwtsession.revocation import revoke_session

    def view(request: HttpRequest) -> str:
        revoke_session(request.session.sid)
        request.session.revalidate()
        return str(request.session.is_empty())

    ask.client.force_login(user)
    response = ask(view)
    assert (response.content, dict(response.cookies)) == (b"True", {})


@pytest.mark.parametrize("value", ["garbage", "this is no token at all", "A" * 9000])
def test_what_is_no_token_at_all_is_deleted(engine: str, ask: Asker, value: str) -> None:
    response = ask(read, cookies=f"sessionid={value}")
    assert response.cookies["sessionid"]["max-age"] == 0


def test_what_is_too_short_for_a_token_is_deleted_by_pages_that_use_no_session_too(
    engine: str, ask: Asker
) -> None:
    """Of what is longer nobody knows there: it is not opened."""
    assert ask(cookies="sessionid=x").cookies["sessionid"]["max-age"] == 0
    assert not ask(cookies="sessionid=this-is-no-token-at-all").cookies


def test_what_the_request_ended_is_deleted(engine: str, ask: Asker) -> None:
    ask(write(x=1))
    assert ask(lambda request: request.session.flush()).cookies["sessionid"]["max-age"] == 0


def test_log_counts_the_repeats_of_a_reason(
    engine: str, visit: Visit, clock: Any, security_log: Any
) -> None:
    visitor = Client()
    for reason, value in (("malformed", "no token at all"), ("too_long", "A" * 9000)):
        for _ in range(50):
            visitor.cookies["sessionid"] = value
            visit(read, by=visitor)
        assert [r.reason for r in security_log][-1] == reason
    assert [r.count for r in security_log] == [1, 1]
    clock.shift(61)
    visitor.cookies["sessionid"] = "no token at all"
    visit(read, by=visitor)
    last = list(security_log)[-1]
    assert (last.reason, last.count) == ("malformed", 50)
    assert "50" in last.getMessage()


def test_log_has_a_record_a_minute_of_an_endless_flood(
    engine: str, visit: Visit, clock: Any, security_log: Any
) -> None:
    visitor = Client()
    for _ in range(200):
        clock.shift(3)
        visitor.cookies["sessionid"] = "no token at all"
        visit(read, by=visitor)
    assert 10 <= len(security_log) <= 11
    assert sum(record.count for record in security_log) >= 180


def test_clock_that_is_set_back_does_not_silence_the_log(
    engine: str, visit: Visit, clock: Any, security_log: Any
) -> None:
    visitor = Client()
    for shift in (0, -DAY):
        clock.shift(shift)
        visitor.cookies["sessionid"] = "no token at all"
        visit(read, by=visitor)
    assert len(security_log) == 2


@pytest.mark.parametrize("d", ["hello world", "AAAA", "", "W10"])
@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("cookie", {}),
        ("hybrid", {"rv": 60, "ver": 1, "gen": 0}),
        ("hybrid", {"rv": -1, "ver": 1, "gen": 0}),
        ("hybrid", {}),
    ],
)
def test_text_in_the_place_of_the_data_is_a_bad_token(
    visit: Visit,
    settings: Any,
    security_log: Any,
    django_assert_num_queries: Any,
    d: str,
    name: str,
    claims: dict[str, Any],
) -> None:
    settings.SESSION_ENGINE = ENGINES[name]
    if "rv" in claims:
        claims = claims | {"rv": int(time.time()) + claims["rv"]}
    visitor = Client()
    visitor.cookies["sessionid"] = token = issue(d=d, **claims)
    with django_assert_num_queries(0):
        response = visit(read, by=visitor)
    assert (response.status_code, response.content) == (200, b"[]")
    assert cookie(visitor) == token
    assert [record.reason for record in security_log] == ["claims"]
