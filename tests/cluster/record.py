"""What happened in a run, and which promises it breaks: values only, no servers.

All moments are of one monotonic clock, that of the process that visits the sites.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# A page that says nothing: no connection, or none in time.
NO_ANSWER = 0


@dataclass(frozen=True)
class Issue:
    """A login that was answered: from now on the session is to be good everywhere."""

    sid: str
    user: str
    at: float


@dataclass(frozen=True)
class Write:
    """A key of a session that a page was asked to write."""

    sid: str
    key: str
    value: str
    app: int
    sent_at: float
    answered_at: float
    status: int


@dataclass(frozen=True)
class End:
    """A logout or an end by somebody else."""

    sid: str
    app: int
    sent_at: float
    answered_at: float
    status: int


@dataclass(frozen=True)
class Seen:
    """What a page saw of its visitor; `is_true` tells that it was to read what is true now."""

    sid: str
    app: int
    sent_at: float
    answered_at: float
    status: int
    user: str | None
    data: dict[str, Any]
    is_true: bool = False


@dataclass(frozen=True)
class Fault:
    """A span in which the database of some applications was not there."""

    apps: frozenset[int]
    began_at: float
    ended_at: float


@dataclass
class Record:
    """All that happened, in the order in which it was noted."""

    issues: list[Issue] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    thefts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, *happened: Issue | Write | End | Seen | Fault) -> None:
        """Note what happened, from any thread."""
        lists: dict[type, Any] = {
            Issue: self.issues,
            Write: self.writes,
            End: self.ends,
            Seen: self.seen,
            Fault: self.faults,
        }
        with self.lock:
            for one in happened:
                lists[type(one)].append(one)


def problems(record: Record, known_within: float, hold: float = 0.0) -> list[str]:
    """Return each breach of a promise, in words.

    Arguments: `known_within` (seconds) is how late an end may be known on a process whose
    database is there; `hold` for how much longer one may go on whose database is not
    (STALE_IF_ERROR).
    """
    checker = _Checker(record, known_within, hold)
    return [
        *checker.errors(),
        *checker.late_ends(),
        *checker.false_logouts(),
        *checker.strangers(),
        *checker.lost_writes(),
        *([f"{record.thefts} false alarms of theft"] if record.thefts else []),
    ]


class _Checker:
    def __init__(self, record: Record, known_within: float, hold: float) -> None:
        self.record, self.known_within, self.hold = record, known_within, hold
        self.user_of = {one.sid: one.user for one in record.issues}
        self.begun = {one.sid: one.at for one in record.issues}
        # When an end was asked for at first, and when one was acknowledged at first.
        self.asked: dict[str, float] = {}
        self.acknowledged: dict[str, float] = {}
        for end in record.ends:
            self.asked[end.sid] = min(end.sent_at, self.asked.get(end.sid, end.sent_at))
            if end.status == 200:
                at = min(end.answered_at, self.acknowledged.get(end.sid, end.answered_at))
                self.acknowledged[end.sid] = at

    def _faults(self, app: int, start: float, end: float) -> list[Fault]:
        return [
            fault
            for fault in self.record.faults
            if app in fault.apps and start <= fault.ended_at and end >= fault.began_at
        ]

    def errors(self) -> list[str]:
        """Nobody gets an error where the database is there."""
        visits: list[Any] = [*self.record.seen, *self.record.writes, *self.record.ends]
        return [
            f"{type(one).__name__} of {one.sid} at app {one.app}: status {one.status}"
            for one in visits
            if one.status not in (200, 400)
            and not self._faults(one.app, one.sent_at, one.answered_at)
        ]

    def late_ends(self) -> list[str]:
        """No ended session answers later than the bound."""
        found = []
        for one in self.record.seen:
            ended_at = self.acknowledged.get(one.sid)
            if ended_at is None or one.user is None:
                continue
            bound = ended_at + self.known_within
            for fault in self._faults(one.app, ended_at, one.sent_at):
                bound = max(
                    bound, min(fault.ended_at, fault.began_at + self.hold) + self.known_within
                )
            if one.sent_at > bound:
                late = one.sent_at - ended_at
                found.append(f"{one.sid} was ended and answers at app {one.app} {late:.2f} s later")
        return found

    def false_logouts(self) -> list[str]:
        """Who has not ended his session is in it."""
        return [
            f"{one.sid} has not ended, and is nobody at app {one.app}"
            for one in self.record.seen
            if one.status == 200
            and one.user is None
            and one.answered_at < self.asked.get(one.sid, float("inf"))
        ]

    def strangers(self) -> list[str]:
        """Nobody is another, or sees what another has stored."""
        found = []
        for one in self.record.seen:
            if one.user is not None and one.user != self.user_of.get(one.sid):
                found.append(f"{one.sid} is of {self.user_of.get(one.sid)}, and was {one.user}")
            if any(not str(value).startswith(one.sid) for value in one.data.values()):
                found.append(f"{one.sid} sees what is not its own")
        return found

    def lost_writes(self) -> list[str]:
        """What was acknowledged is there whenever the truth is read."""
        done: dict[str, list[Write]] = {}
        for write in self.record.writes:
            if write.status == 200:
                done.setdefault(write.sid, []).append(write)
        found = []
        for one in self.record.seen:
            if not one.is_true or one.status != 200 or one.user is None:
                continue
            found += [
                f"{one.sid}: {write.key}, written at app {write.app}, is lost"
                for write in done.get(one.sid, ())
                if write.answered_at < one.sent_at and one.data.get(write.key) != write.value
            ]
        return found


def summary(record: Record) -> dict[str, Any]:
    """Return the numbers of a run: how much happened, and how fast ends were known (seconds)."""
    last: dict[tuple[str, int], float] = {}
    ended = {end.sid: end.answered_at for end in record.ends if end.status == 200}
    for one in record.seen:
        at = ended.get(one.sid)
        if at is not None and one.user is not None and one.sent_at > at:
            key = one.sid, one.app
            last[key] = max(last.get(key, 0.0), one.sent_at - at)
    late = sorted(last.values())
    visits: list[Any] = [*record.seen, *record.writes, *record.ends]
    statuses = Counter(one.status for one in visits)
    return {
        "logins": len(record.issues),
        "reads": len(record.seen),
        "writes": len(record.writes),
        "acknowledged": sum(write.status == 200 for write in record.writes),
        "ends": len(ended),
        "statuses": dict(statuses),
        "last_seen_after_end": round(late[-1], 2) if late else 0.0,
        **record.others,
    }
