"""The pure decisions: what a response needs, and when a session ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jwtsession.backends import policy
from django_jwtsession.backends.policy import Action

from ..conftest import DAY, NOW, WEEK

QUIET: dict[str, Any] = {
    "has_cookie": True,
    "empty": False,
    "began": False,
    "ended": False,
    "no_token": False,
    "write": False,
    "used": True,
    "status": 200,
    "passive": False,
    "shared": False,
    "spoken": False,
    "refresh_due": False,
    "reissue_due": False,
    "touch_due": False,
}


def decided(**changed: Any) -> Action:
    return policy.respond(**QUIET | changed)


@pytest.mark.parametrize(
    ("changed", "action"),
    [
        ({}, Action.NOTHING),
        ({"empty": True}, Action.NOTHING),
        ({"empty": True, "ended": True}, Action.DELETE),
        ({"empty": True, "ended": True, "has_cookie": False}, Action.NOTHING),
        ({"empty": True, "ended": True, "write": True}, Action.DELETE),
        ({"empty": True, "ended": True, "status": 500}, Action.DELETE),
        ({"empty": True, "ended": True, "shared": True}, Action.DELETE),
        ({"empty": True, "ended": True, "spoken": True}, Action.DELETE),
        ({"empty": True, "no_token": True}, Action.DELETE),
        ({"empty": True, "no_token": True, "shared": True}, Action.NOTHING),
        ({"empty": True, "no_token": True, "spoken": True}, Action.NOTHING),
        ({"write": True}, Action.SAVE),
        ({"write": True, "passive": True}, Action.SAVE),
        ({"write": True, "shared": True}, Action.SAVE),
        ({"write": True, "spoken": True}, Action.SAVE),
        ({"write": True, "status": 500}, Action.NOTHING),
        ({"write": True, "status": 503}, Action.NOTHING),
        ({"write": True, "status": 499}, Action.SAVE),
        ({"write": True, "began": True}, Action.SAVE),
        ({"write": True, "began": True, "status": 500}, Action.HAND_OVER),
        ({"write": True, "began": True, "status": 500, "has_cookie": False}, Action.NOTHING),
        ({"empty": True, "began": True, "status": 500}, Action.NOTHING),
        ({"refresh_due": True}, Action.REFRESH),
        ({"refresh_due": True, "reissue_due": True, "touch_due": True}, Action.REFRESH),
        ({"refresh_due": True, "used": False}, Action.NOTHING),
        ({"refresh_due": True, "passive": True}, Action.NOTHING),
        ({"refresh_due": True, "reissue_due": True, "passive": True}, Action.REISSUE),
        ({"refresh_due": True, "shared": True}, Action.NOTHING),
        ({"refresh_due": True, "spoken": True}, Action.NOTHING),
        ({"refresh_due": True, "status": 500}, Action.NOTHING),
        ({"reissue_due": True}, Action.REISSUE),
        ({"reissue_due": True, "touch_due": True}, Action.REISSUE),
        ({"reissue_due": True, "passive": True}, Action.REISSUE),
        ({"reissue_due": True, "shared": True}, Action.NOTHING),
        ({"touch_due": True}, Action.TOUCH),
        ({"touch_due": True, "passive": True}, Action.TOUCH),
        ({"touch_due": True, "shared": True}, Action.NOTHING),
        ({"write": True, "refresh_due": True}, Action.SAVE),
    ],
    ids=str,
)
def test_response_needs_just_this(changed: dict[str, Any], action: Action) -> None:
    assert decided(**changed) is action


flags = st.fixed_dictionaries(
    {name: st.booleans() for name in QUIET if name != "status"}
    | {"status": st.integers(min_value=100, max_value=599)}
)


@given(flags)
def test_server_error_and_passive_request_extend_nothing(given_flags: dict[str, Any]) -> None:
    action = policy.respond(**given_flags)
    if given_flags["status"] >= 500:
        assert action in (Action.NOTHING, Action.DELETE, Action.HAND_OVER)
    if given_flags["passive"]:
        assert action is not Action.REFRESH
    if not given_flags["used"] or given_flags["shared"] or given_flags["spoken"]:
        assert action not in (Action.REFRESH, Action.REISSUE, Action.TOUCH)
    if given_flags["empty"]:
        assert action in (Action.NOTHING, Action.DELETE)


def test_refresh_is_due_when_half_is_over() -> None:
    assert not policy.refresh_due(NOW, NOW + WEEK / 2 + 1, WEEK, None)
    assert policy.refresh_due(NOW, NOW + WEEK / 2, WEEK, None)


@pytest.mark.parametrize("age", [2, 3, 6, 60, WEEK])
def test_copy_is_good_until_its_session_could_be_extended(age: int) -> None:
    end = policy.copy_end(NOW + age, age, None)
    assert end == NOW + age / 2
    assert policy.refresh_due(end, NOW + age, age, None)


def test_copy_of_a_session_that_nothing_extends_is_good_until_its_end() -> None:
    end = NOW + DAY
    assert policy.copy_end(end, WEEK, end) == end


def test_refresh_is_not_due_where_the_absolute_end_leaves_nothing_to_gain() -> None:
    end = NOW + DAY
    assert not policy.refresh_due(NOW, end, WEEK, end)
    assert policy.refresh_due(NOW, end - 3600, WEEK, end)


@pytest.mark.parametrize(
    ("age", "gain", "due"),
    [(WEEK, 1.0, False), (WEEK, 1.01, True), (2, 0.5, False), (2, 0.51, True)],
)
def test_refresh_has_to_gain_more_than_a_second_or_a_quarter_of_the_age(
    age: float, gain: float, due: bool
) -> None:
    assert policy.refresh_due(NOW, NOW, age, NOW + gain) is due


def test_absolute_end_counts_from_the_login_and_not_for_anonymous() -> None:
    assert policy.absolute_end(NOW, DAY) == NOW + DAY
    assert policy.absolute_end(None, DAY) is None


times = st.floats(min_value=0, max_value=1e10)
ages = st.floats(min_value=0, max_value=1e9)


@given(times, ages, st.none() | times)
def test_idle_end_is_never_later_than_the_absolute_end(
    now: float, idle_age: float, end: float | None
) -> None:
    ends_at = policy.idle_end(now, idle_age, end)
    assert ends_at <= now + idle_age
    assert end is None or ends_at <= end


@given(times, ages, st.none() | times)
def test_refresh_is_not_due_twice(now: float, idle_age: float, end: float | None) -> None:
    ends_at = policy.idle_end(now, idle_age, end)
    assert not policy.refresh_due(now, ends_at, idle_age, end)
