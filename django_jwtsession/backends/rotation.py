"""What the epoch and the generation of a token say about who sent it: pure functions (DESIGN 2.4).

Imports no Django. Times are Unix times and ages seconds, epochs milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

# The next generation confirms nothing before its cookie is safe in the browser: answers with the
# last one have arrived (10 s), the browser has written its cookie file (Chromium: every 30 s, and
# killed before, it comes back with the older cookie), and clocks differ by 10 s. Less than
# REVALIDATE_AFTER: a cookie that is used all the time is replaced as often.
SETTLE = 50.0
# A proxy that collects a body hands the request on when it is complete, with a cookie that is as
# old as the upload is long.
UPLOAD_SIZE = 64 * 1024
UPLOAD_TIME = 1800.0
# The first second of an epoch is the feed's lag; within five, answers are still on their way.
EPOCH_LAG = 1.0
EPOCH_ANSWERS = 5.0


class Verdict(Enum):
    """What is to be done with a token, by the row."""

    CURRENT = "the row's generation, or the next one, which is not safe in the browser yet"
    ISSUE_NEXT = "the row's generation: the row notes that the next one is issued from now on"
    CONFIRM = "the next generation has arrived in the browser"
    LATE = "the last generation, from a request that was under way"
    UPLOAD = "the last generation, from an upload that took minutes: opens, and gets no cookie"
    REUSED = "an older generation: somebody holds a copy"
    EARLIER = "of an earlier epoch: opens nothing, and is nobody's theft"
    IMPOSSIBLE = "never issued, as after restoring a backup: opens nothing, ends nothing"


class Generations(NamedTuple):
    """The rotation state of a row; the generations begin anew with each epoch."""

    epoch: int
    generation: int
    confirmed_at: float  # of an epoch's first generation: when the epoch began
    next_issued_at: float | None


class Shown(NamedTuple):
    """What a request shows: what its token says, and whether its body took time to arrive."""

    epoch: int
    generation: int
    issued_at: float
    uploads: bool = False


def judge(
    shown: Shown,
    row: Generations,
    now: float,
    *,
    rotate_after: float | None,
    grace: float,
    settle: float = SETTLE,
) -> Verdict:
    """Judge what a request shows by the row.

    Arguments: `now` is when the request began, however late it asks; `rotate_after` (seconds, None
    for no rotation); `grace` (seconds after a confirmation in which the last generation is a
    request under way, and nobody's theft); `settle` (seconds, see SETTLE).
    """
    if shown.epoch != row.epoch:
        return Verdict.EARLIER if shown.epoch < row.epoch else Verdict.IMPOSSIBLE
    if rotate_after is None:
        return Verdict.CURRENT
    ahead = shown.generation - row.generation
    if ahead == 0:
        return Verdict.ISSUE_NEXT if _is_due(row, now, rotate_after, grace) else Verdict.CURRENT
    if ahead == 1 and row.next_issued_at is not None:
        return Verdict.CONFIRM if _is_settled(shown, row, now, grace, settle) else Verdict.CURRENT
    if ahead > 0:
        return Verdict.IMPOSSIBLE
    # Rotations are at least `rotate_after` apart, so that is when this token was replaced at the
    # latest. A stream may ask for hours under the token with which it began.
    replaced_at = row.confirmed_at + (ahead + 1) * rotate_after
    if now - replaced_at <= grace:
        return Verdict.LATE
    if ahead == -1 and shown.uploads and now - replaced_at <= UPLOAD_TIME:
        return Verdict.UPLOAD
    return Verdict.REUSED


def _is_due(row: Generations, now: float, rotate_after: float, grace: float) -> bool:
    """Tell whether to note that the next generation is issued; anew, where that was lost."""
    if row.next_issued_at is None:
        return now - row.confirmed_at >= rotate_after
    return now - row.next_issued_at >= grace


def _is_settled(shown: Shown, row: Generations, now: float, grace: float, settle: float) -> bool:
    """Tell whether the browser has kept the next generation.

    This very cookie is old enough, not only the first of its generation, which may have been lost.
    Where cookies are replaced all the time none gets old: there, the note of the first one counts,
    which is made anew while browsers come without it.
    """
    issued_at = row.next_issued_at
    return issued_at is not None and (
        now - shown.issued_at >= settle or now - issued_at >= max(grace, settle)
    )


class Earlier(Enum):
    """What a token of an earlier epoch still does, by how long ago the new one began."""

    READS = "reads what there was before; no cookie, no proof"
    NOTHING = "an anonymous visitor; no cookie, the browser may hold a newer one by now"
    VISITOR = "a new visitor, who can write and log in, and gets a cookie"


def judge_earlier(epoch: int, now: float, *, only_reads: bool, uploads: bool = False) -> Earlier:
    """Judge a token of an earlier epoch; the row's `epoch` is the millisecond at which it began.

    Arguments: `now` is when the request began; one that had opened the session by then goes on,
    that is not asked here. `uploads` tells that its cookie may be as old as a long body.
    """
    age = now - epoch / 1000
    if abs(age) <= EPOCH_LAG and only_reads:
        return Earlier.READS
    under_way = UPLOAD_TIME if uploads else EPOCH_ANSWERS
    return Earlier.NOTHING if age <= under_way else Earlier.VISITOR


def uploads(environ: Mapping[str, Any]) -> bool:
    """Tell whether a request has a body that may have taken minutes, by its WSGI environment.

    That is one over 64 KiB or of unknown length. A websocket or a GET without a length has none.
    """
    length = environ.get("CONTENT_LENGTH")
    if length:
        return not length.isdecimal() or len(length) > 9 or int(length) > UPLOAD_SIZE
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return True
    # HTTP/2 names no length where it knows none.
    return environ.get("REQUEST_METHOD") in ("POST", "PUT", "PATCH")
