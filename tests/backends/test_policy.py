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
    "write": False,
    "used": True,
    "status": 200,
    "prefetch": False,
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
        ({"empty": True}, Action.DELETE),
        ({"empty": True, "has_cookie": False}, Action.NOTHING),
        ({"empty": True, "write": True}, Action.DELETE),
        ({"empty": True, "status": 500}, Action.DELETE),
        ({"write": True}, Action.SAVE),
        ({"write": True, "prefetch": True}, Action.SAVE),
        ({"write": True, "status": 500}, Action.NOTHING),
        ({"write": True, "status": 503}, Action.NOTHING),
        ({"write": True, "status": 499}, Action.SAVE),
        ({"refresh_due": True}, Action.REFRESH),
        ({"refresh_due": True, "reissue_due": True, "touch_due": True}, Action.REFRESH),
        ({"refresh_due": True, "used": False}, Action.NOTHING),
        ({"refresh_due": True, "prefetch": True}, Action.NOTHING),
        ({"refresh_due": True, "status": 500}, Action.NOTHING),
        ({"reissue_due": True}, Action.REISSUE),
        ({"reissue_due": True, "touch_due": True}, Action.REISSUE),
        ({"reissue_due": True, "prefetch": True}, Action.NOTHING),
        ({"touch_due": True}, Action.TOUCH),
        ({"touch_due": True, "prefetch": True}, Action.NOTHING),
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
def test_server_error_and_prefetch_extend_nothing(given_flags: dict[str, Any]) -> None:
    action = policy.respond(**given_flags)
    if given_flags["status"] >= 500:
        assert action in (Action.NOTHING, Action.DELETE)
    if given_flags["prefetch"] or not given_flags["used"]:
        assert action not in (Action.REFRESH, Action.REISSUE, Action.TOUCH)
    if given_flags["empty"]:
        assert action in (Action.NOTHING, Action.DELETE)


def test_refresh_is_due_when_less_than_half_is_left() -> None:
    assert not policy.refresh_due(NOW, NOW + WEEK / 2, WEEK, None)
    assert policy.refresh_due(NOW, NOW + WEEK / 2 - 1, WEEK, None)


def test_refresh_is_not_due_where_the_absolute_end_leaves_nothing_to_gain() -> None:
    end = NOW + DAY
    assert not policy.refresh_due(NOW, end, WEEK, end)
    assert policy.refresh_due(NOW, end - 3600, WEEK, end)


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
