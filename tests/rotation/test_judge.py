"""The pure judgement of a token's epoch and generation: every verdict, just where it turns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jwtsession.backends.rotation import (
    EPOCH_ANSWERS,
    EPOCH_LAG,
    UPLOAD_SIZE,
    UPLOAD_TIME,
    Earlier,
    Generations,
    Shown,
    Verdict,
    judge,
    judge_earlier,
    uploads,
)

NOW = 1_000_000.0
AFTER = 3600
GRACE = 300
SETTLE = 50
EPOCH = 900_000_000
RULES: dict[str, Any] = {"rotate_after": AFTER, "grace": GRACE, "settle": SETTLE}


def shown(generation: int, age: float = 1e6, *, epoch: int = EPOCH, body: bool = False) -> Shown:
    """Return a token issued so many seconds ago."""
    return Shown(epoch, generation, NOW - age, body)


def judged(token: int | Shown, row: Generations, **changed: Any) -> Verdict:
    token = shown(token) if isinstance(token, int) else token
    return judge(token, row, NOW, **RULES | changed)


def row(confirmed: float, issued: float | None = None) -> Generations:
    """Return a row at generation 7, confirmed and its next one issued so many seconds ago."""
    return Generations(EPOCH, 7, NOW - confirmed, None if issued is None else NOW - issued)


@pytest.mark.parametrize(
    ("token", "state", "verdict"),
    [
        # the row's own generation
        (7, row(0), Verdict.CURRENT),
        (7, row(AFTER - 0.001), Verdict.CURRENT),
        (7, row(AFTER), Verdict.ISSUE_NEXT),
        (7, row(90 * 86400), Verdict.ISSUE_NEXT),
        (7, row(-10), Verdict.CURRENT),
        # and the next is pending, noted anew where it did not arrive for long
        (7, row(AFTER, 0), Verdict.CURRENT),
        (7, row(10, 5), Verdict.CURRENT),
        (7, row(AFTER, GRACE - 0.001), Verdict.CURRENT),
        (7, row(AFTER, GRACE), Verdict.ISSUE_NEXT),
        (7, row(AFTER, 86400), Verdict.ISSUE_NEXT),
        # the next one comes back
        (8, row(AFTER, SETTLE), Verdict.CONFIRM),
        (8, row(AFTER, 7 * 86400), Verdict.CONFIRM),
        # but not before the browser has written this very cookie to its file
        (shown(8, SETTLE), row(AFTER, GRACE - 1), Verdict.CONFIRM),
        (shown(8, SETTLE - 0.001), row(AFTER, GRACE - 1), Verdict.CURRENT),
        (shown(8, -10), row(AFTER, -10), Verdict.CURRENT),
        # unless cookies are replaced all the time: then one of them was
        (shown(8, 0), row(AFTER, GRACE), Verdict.CONFIRM),
        (shown(8, 0), row(AFTER, GRACE - 0.001), Verdict.CURRENT),
        # the last one, from a request that was under way
        (6, row(0), Verdict.LATE),
        (6, row(GRACE), Verdict.LATE),
        (6, row(GRACE + 0.001), Verdict.REUSED),
        (6, row(GRACE, 0), Verdict.LATE),
        (6, row(GRACE + 0.001, 0), Verdict.REUSED),
        # or whose body a proxy collected for minutes
        (shown(6, body=True), row(GRACE), Verdict.LATE),
        (shown(6, body=True), row(GRACE + 0.001), Verdict.UPLOAD),
        (shown(6, body=True), row(UPLOAD_TIME), Verdict.UPLOAD),
        (shown(6, body=True), row(UPLOAD_TIME + 0.001), Verdict.REUSED),
        (shown(5, body=True), row(GRACE), Verdict.REUSED),
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
        # an earlier epoch opens nothing, a later one was never begun; neither is a theft
        (shown(7, epoch=EPOCH - 1), row(0), Verdict.EARLIER),
        (shown(0, epoch=0), row(AFTER, 0), Verdict.EARLIER),
        (shown(6, epoch=EPOCH - 1, body=True), row(UPLOAD_TIME), Verdict.EARLIER),
        (shown(7, epoch=EPOCH + 1), row(0), Verdict.IMPOSSIBLE),
        (shown(0, epoch=EPOCH + 1), row(0), Verdict.IMPOSSIBLE),
    ],
    ids=str,
)
def test_generation_gets_just_this_verdict(
    token: int | Shown, state: Generations, verdict: Verdict
) -> None:
    assert judged(token, state) is verdict


@pytest.mark.parametrize("token", [0, 6, 7, 8, 9])
def test_without_rotation_every_generation_is_current(token: int) -> None:
    assert judged(token, row(90 * 86400, 5), rotate_after=None) is Verdict.CURRENT


@pytest.mark.parametrize("ahead", [-1, 1])
def test_without_rotation_epochs_count_as_ever(ahead: int) -> None:
    verdict = judged(shown(7, epoch=EPOCH + ahead), row(0), rotate_after=None)
    assert verdict is (Verdict.EARLIER if ahead < 0 else Verdict.IMPOSSIBLE)


def test_without_a_time_to_settle_the_next_generation_confirms_at_once() -> None:
    assert judged(shown(8, 0), row(AFTER, 0), settle=0) is Verdict.CONFIRM


@pytest.mark.parametrize(
    ("age", "only_reads", "earlier"),
    [
        (-10, True, Earlier.NOTHING),  # by a clock that is behind
        (-EPOCH_LAG, True, Earlier.READS),
        (EPOCH_LAG, True, Earlier.READS),
        (EPOCH_LAG, False, Earlier.NOTHING),
        (EPOCH_LAG + 0.002, True, Earlier.NOTHING),
        (EPOCH_ANSWERS, True, Earlier.NOTHING),
        (EPOCH_ANSWERS + 0.002, True, Earlier.VISITOR),
        (EPOCH_ANSWERS + 0.002, False, Earlier.VISITOR),
        (1e6, True, Earlier.VISITOR),
    ],
)
def test_earlier_epoch_is_a_new_visitor_by_and_by(
    age: float, only_reads: bool, earlier: Earlier
) -> None:
    assert judge_earlier(EPOCH, EPOCH / 1000 + age, only_reads=only_reads) is earlier


@pytest.mark.parametrize(
    ("age", "earlier"),
    [
        (EPOCH_ANSWERS + 1, Earlier.NOTHING),
        (UPLOAD_TIME, Earlier.NOTHING),
        (UPLOAD_TIME + 1, Earlier.VISITOR),
    ],
)
def test_upload_that_began_before_the_epoch_sets_no_cookie_for_half_an_hour(
    age: float, earlier: Earlier
) -> None:
    """Its answer would put an anonymous session in the place of the one that has just begun."""
    now = EPOCH / 1000 + age
    assert judge_earlier(EPOCH, now, only_reads=False, uploads=True) is earlier


@pytest.mark.parametrize(
    ("environ", "is_upload"),
    [
        ({"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(UPLOAD_SIZE + 1)}, True),
        ({"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(UPLOAD_SIZE)}, False),
        ({"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "0"}, False),
        ({"REQUEST_METHOD": "PUT", "CONTENT_LENGTH": "9" * 5000}, True),
        ({"REQUEST_METHOD": "PUT", "CONTENT_LENGTH": "many"}, True),
        ({"REQUEST_METHOD": "POST", "HTTP_TRANSFER_ENCODING": "chunked"}, True),
        ({"REQUEST_METHOD": "REPORT", "HTTP_TRANSFER_ENCODING": "chunked"}, True),
        ({"REQUEST_METHOD": "REPORT"}, False),
        ({"REQUEST_METHOD": "POST", "CONTENT_LENGTH": ""}, True),
        ({"REQUEST_METHOD": "PUT"}, True),
        ({"REQUEST_METHOD": "PATCH"}, True),
        ({"REQUEST_METHOD": "GET", "CONTENT_LENGTH": ""}, False),
        ({"REQUEST_METHOD": "GET"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_upload_is_a_long_body_or_one_of_unknown_length(
    environ: dict[str, str], is_upload: bool
) -> None:
    assert uploads(environ) is is_upload


ages = st.floats(-100, 1e7)
states = st.builds(row, ages, st.none() | ages)
bodies = st.booleans()


@given(st.integers(0, 7), states)
def test_token_that_was_issued_is_never_impossible(token: int, state: Generations) -> None:
    assert judged(token, state) is not Verdict.IMPOSSIBLE


@given(st.integers(7, 20), states)
def test_generation_of_the_row_or_newer_is_nobody_s_theft(token: int, state: Generations) -> None:
    assert judged(token, state) not in (Verdict.REUSED, Verdict.LATE)


@given(st.integers(0, 6), ages, bodies, states, st.floats(0, 1e6))
def test_reuse_is_reuse_for_good(
    token: int, age: float, body: bool, state: Generations, later: float
) -> None:
    one = shown(token, age, body=body)
    if judged(one, state) is Verdict.REUSED:
        assert judge(one, state, NOW + later, **RULES) is Verdict.REUSED


@given(st.integers(0, 9), st.integers(EPOCH - 2, EPOCH + 2), ages, bodies, states)
def test_only_a_token_of_this_epoch_ends_anything(
    token: int, epoch: int, age: float, body: bool, state: Generations
) -> None:
    if judged(shown(token, age, epoch=epoch, body=body), state) is Verdict.REUSED:
        assert epoch == EPOCH
