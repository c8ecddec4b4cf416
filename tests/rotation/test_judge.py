"""The pure judgement of a token's generation: every verdict, and just where it turns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jwtsession.backends.policy import Generations, Verdict, judge

NOW = 1_000_000.0
AFTER = 3600
GRACE = 300
SETTLE = 15


def judged(token: int, row: Generations, **changed: Any) -> Verdict:
    rules: dict[str, Any] = {"rotate_after": AFTER, "grace": GRACE, "settle": SETTLE}
    return judge(token, row, NOW, **rules | changed)


def row(confirmed: float, issued: float | None = None) -> Generations:
    """Return a row at generation 7, confirmed and its next one issued so many seconds ago."""
    return Generations(7, NOW - confirmed, None if issued is None else NOW - issued)


@pytest.mark.parametrize(
    ("token", "state", "verdict"),
    [
        # the row's own generation
        (7, row(0), Verdict.CURRENT),
        (7, row(AFTER - 0.001), Verdict.CURRENT),
        (7, row(AFTER), Verdict.ISSUE_NEXT),
        (7, row(90 * 86400), Verdict.ISSUE_NEXT),
        (7, row(-10), Verdict.CURRENT),
        # and the next is pending: issued again, however often and however late
        (7, row(AFTER, 0), Verdict.ISSUE_NEXT),
        (7, row(AFTER, 86400), Verdict.ISSUE_NEXT),
        (7, row(10, 5), Verdict.ISSUE_NEXT),
        # the next one comes back
        (8, row(AFTER, SETTLE), Verdict.CONFIRM),
        (8, row(AFTER, 7 * 86400), Verdict.CONFIRM),
        # but answers with the last one may still be on their way
        (8, row(AFTER, SETTLE - 0.001), Verdict.CURRENT),
        (8, row(AFTER, -10), Verdict.CURRENT),
        # the last one, from a request that was under way
        (6, row(0), Verdict.LATE),
        (6, row(GRACE), Verdict.LATE),
        (6, row(GRACE + 0.001), Verdict.REUSED),
        (6, row(GRACE, 0), Verdict.LATE),
        (6, row(GRACE + 0.001, 0), Verdict.REUSED),
        # an older one, also in the moment of a rotation, and by a clock that is behind
        (5, row(0), Verdict.REUSED),
        (5, row(-10), Verdict.REUSED),
        (0, row(AFTER), Verdict.REUSED),
        # unless the request has been running since the token was current: a stream
        (6, row(-9 * AFTER), Verdict.LATE),
        (5, row(-AFTER), Verdict.LATE),
        (5, row(GRACE - AFTER), Verdict.LATE),
        (5, row(GRACE - AFTER + 0.001), Verdict.REUSED),
        (4, row(GRACE - 2 * AFTER), Verdict.LATE),
        (4, row(GRACE - 2 * AFTER + 0.001), Verdict.REUSED),
        # never issued: the row comes from a backup
        (8, row(0), Verdict.IMPOSSIBLE),
        (8, row(AFTER), Verdict.IMPOSSIBLE),
        (9, row(AFTER, SETTLE), Verdict.IMPOSSIBLE),
        (9, row(0), Verdict.IMPOSSIBLE),
        (2**63 - 1, row(0), Verdict.IMPOSSIBLE),
    ],
    ids=str,
)
def test_generation_gets_just_this_verdict(
    token: int, state: Generations, verdict: Verdict
) -> None:
    assert judged(token, state) is verdict


@pytest.mark.parametrize("token", [0, 6, 7, 8, 9])
def test_without_rotation_every_generation_is_current(token: int) -> None:
    assert judged(token, row(90 * 86400, 5), rotate_after=None) is Verdict.CURRENT


def test_without_a_time_to_settle_the_next_generation_confirms_at_once() -> None:
    assert judged(8, row(AFTER, 0), settle=0) is Verdict.CONFIRM


ages = st.floats(-100, 1e7)
states = st.builds(row, ages, st.none() | ages)


@given(st.integers(0, 7), states)
def test_token_that_was_issued_is_never_impossible(token: int, state: Generations) -> None:
    assert judged(token, state) is not Verdict.IMPOSSIBLE


@given(st.integers(7, 20), states)
def test_generation_of_the_row_or_newer_is_nobody_s_theft(token: int, state: Generations) -> None:
    assert judged(token, state) not in (Verdict.REUSED, Verdict.LATE)


@given(st.integers(0, 6), states, st.floats(0, 1e6))
def test_reuse_is_reuse_for_good(token: int, state: Generations, later: float) -> None:
    if judged(token, state) is Verdict.REUSED:
        rules = {"rotate_after": AFTER, "grace": GRACE, "settle": SETTLE}
        assert judge(token, state, NOW + later, **rules) is Verdict.REUSED
