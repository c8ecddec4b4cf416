"""A model of one session: a row, servers whose clocks differ, a browser's jar and file, a thief.

Not the engine (the state machine drives that): rotation.judge() and judge_earlier() with all that
happens around them. Times in seconds of the true clock, unless a server's clock is named.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from django_jwtsession.backends.rotation import (
    SETTLE,
    Earlier,
    Generations,
    Shown,
    Verdict,
    judge,
    judge_earlier,
)

HOUR, DAY = 3600.0, 86400.0
WINDOW = 60.0  # REVALIDATE_AFTER; 0 as for sessions too big for their cookie
FRESH = 0.1
FILE = 30.0  # after so long a browser writes a cookie to its file
HAND_OVER = 900.0


@dataclass(frozen=True)
class Token:
    epoch: int
    gen: int
    ver: int
    trusted_until: float
    issued_at: float


ANONYMOUS = Token(-1, 0, 0, 0.0, 0.0)  # of a session of its own
_MOVES = (Verdict.ISSUE_NEXT, Verdict.CONFIRM, Verdict.LATE)
LONG_AGO = 20.0  # longer than an answer is on its way, and clocks differ


@dataclass(eq=False)
class Holder:
    """A jar, and who looks into it; `spare` is a second cookie of a new epoch, and its end."""

    honest: bool
    jar: Token
    spare: tuple[Token, float] | None = None
    file: tuple[Token, tuple[Token, float] | None] | None = None
    writing: bool = False
    lives: int = 0  # how often it was killed
    is_back: bool = False  # with what its file held: nothing has come since it was killed


@dataclass(frozen=True)
class Rules:
    """What is switched on; `delay` holds back an answer that begins an epoch."""

    rotate_after: float | None = HOUR
    grace: float = 300.0
    settle: float = SETTLE
    window: float = WINDOW
    reissues: bool = True  # db sends a cookie where the session was written, and else none
    copies: bool = True  # one that is too big for its cookie sends one where it has changed
    second_read: bool = True
    uploads: bool = True
    patient: bool = True  # an upload that was sent before the epoch gets no cookie
    hand_over: bool = False  # a second cookie for a new epoch: not built, see docs/rotation.md
    resend: float = 0.0  # seconds in which answers to the new epoch's cookie bring it once more
    delay: float = 0.0


@dataclass(frozen=True)
class Habits:
    """How often in a page's life."""

    confirms: float = 0.01
    uploads: float = 0.002
    killed: float = 0.002


@dataclass
class Site:
    """The row, on servers whose clocks differ."""

    rules: Rules = field(default_factory=Rules)
    row: Generations = field(default_factory=lambda: Generations(0, 0, 0.0, None))
    version: int = 1
    written: dict[int, int] = field(default_factory=dict)  # version by process
    clocks: tuple[float, ...] = (0.0, 4.0, -5.0, 5.0)
    epoch_began: float = 0.0
    alarm: bool = False
    alarm_by: Holder | None = None


@dataclass(eq=False)
class Request:
    holder: Holder
    life: int
    token: Token
    spare: Token | None
    process: int
    began: float  # by the server's clock
    writes: bool
    uploads: bool = False
    confirms: bool = False
    opened: bool = False
    verdict: Verdict | None = None
    row: Generations | None = None
    row_at: float = 0.0
    trusted_until: float | None = None


class Simulation:
    """One browser, its site, and perhaps a thief, for a while; `count` says what happened."""

    def __init__(self, site: Site, rng: random.Random, habits: Habits | None = None) -> None:
        self.site, self.rng, self.habits = site, rng, habits or Habits()
        self.now = 0.0
        self.count: Counter[str] = Counter()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        self.browser = Holder(True, Token(0, 0, 1, WINDOW, 0.0))
        self.browser.file = self.browser.jar, None
        self.shut_out_at: float | None = None

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (when, self._serial, what))

    def run(self, until: float, epochs: float = float("inf")) -> None:
        while self._queue and not self.site.alarm and self.shut_out_at is None:
            when, _, what = heapq.heappop(self._queue)
            if when > until or self.count["epochs"] >= epochs:
                return
            self.now = when
            what()

    # --- a request -------------------------------------------------------------------------------

    def request(
        self, holder: Holder, *, confirms: bool = False, collected: float | None = None
    ) -> None:
        """Send a request with the cookies that the jar holds now.

        Arguments: `collected` (seconds) is how long a proxy takes to collect its body.
        """
        self.count["requests"] += 1
        process = self.rng.randrange(len(self.site.clocks))
        spare = holder.spare
        request = Request(
            holder,
            holder.lives,
            holder.jar,
            spare[0] if spare is not None and self.now < spare[1] else None,
            process,
            0.0,
            confirms or collected is not None or self.rng.random() < 0.1,
            collected is not None,
            confirms,
        )
        self.at(self.now + (collected or 0.0), lambda: self._arrive(request))

    def _arrive(self, request: Request) -> None:
        rng = self.rng
        request.began = self.now + self.site.clocks[request.process]
        lasts = rng.uniform(1, 400) if rng.random() < 0.01 else 0.01 + rng.expovariate(1 / 0.15)
        if request.confirms:
            lasts = rng.uniform(0.2, 0.5)
        # Who writes reads at once, most of the others too.
        late = not request.writes and rng.random() < 0.1
        self.at(self.now + (lasts * rng.random() if late else 0.0), lambda: self._read(request))
        self.at(self.now + lasts, lambda: self._answer(request))

    def _read(self, request: Request) -> None:
        site, token = self.site, request.token
        now = self.now + site.clocks[request.process]
        rules = site.rules
        # The feed tells of a new epoch within a second.
        heard = self.now - site.epoch_began > self.rng.random()
        trusted = now < token.trusted_until and token.ver >= site.written.get(request.process, 0)
        if trusted and not request.writes and (token.epoch == site.row.epoch or not heard):
            request.opened, request.trusted_until = True, token.trusted_until
            self._open(request)
            return
        if token.epoch < site.row.epoch and request.spare is not None and rules.hand_over:
            token = request.token = request.spare
        request.row, request.row_at = site.row, now
        uploads = request.uploads and rules.uploads
        request.verdict = verdict = judge(
            Shown(token.epoch, token.gen, token.issued_at, uploads),
            site.row,
            request.began,
            rotate_after=rules.rotate_after,
            grace=rules.grace,
            settle=rules.settle,
        )
        assert verdict is not Verdict.IMPOSSIBLE
        if verdict is Verdict.REUSED:
            site.alarm, site.alarm_by = True, request.holder
        elif verdict is Verdict.EARLIER:
            self._earlier(request)
        else:
            request.opened = True
            self._open(request)

    def _earlier(self, request: Request) -> None:
        site = self.site
        found = judge_earlier(
            site.row.epoch,
            request.began,
            only_reads=not request.writes and self.now < request.token.trusted_until,
            uploads=request.uploads and site.rules.patient,
        )
        request.opened = found is Earlier.READS
        if request.opened:
            self._open(request)
        if found is not Earlier.VISITOR:
            return
        if not request.holder.honest:
            self.shut_out_at = self.shut_out_at or self.now
        elif self.now - site.epoch_began > LONG_AGO and request.token is request.holder.jar:
            self._sign_in(request)
        elif request.writes:
            self._send(request.holder, request.life, ANONYMOUS)

    def _sign_in(self, request: Request) -> None:
        """Whoever holds the cookie of an earlier epoch, or none, has to; it is the same sid."""
        why = "killed" if request.holder.is_back else "overtaken"
        why = "uploading" if request.uploads else why
        self.count[f"signed out: {why}"] += 1
        self._begin_epoch(request)

    def _open(self, request: Request) -> None:
        if request.token.epoch < self.site.row.epoch and not request.holder.honest:
            age = self.now - self.site.epoch_began
            self.count["copy of an earlier epoch opens, in the first second"] += age <= 1.0
            self.count["copy of an earlier epoch opens, later"] += (
                age > 11.0
            )  # clocks differ by 10 s

    def _answer(self, request: Request) -> None:
        """Rotate as judged, write, and send the cookie: rows change only here."""
        site, rules = self.site, self.site.rules
        if request.confirms and request.opened and request.holder.honest:
            if request.token.epoch == site.row.epoch:
                self._begin_epoch(request)
            return
        if not request.opened or request.verdict in (Verdict.UPLOAD, Verdict.EARLIER):
            return
        if self.rng.random() < 0.01:  # 5xx
            return
        now = self.now + site.clocks[request.process]
        resends = self.now - site.epoch_began < rules.resend
        is_due = rules.copies or request.token.ver != site.version or request.verdict in _MOVES
        reads_row = request.row is not None and ((rules.reissues and is_due) or resends)
        if not reads_row and not request.writes and not resends:
            return
        row = self._rotate(request, now)
        fresh = request.row_at and (now - request.row_at < FRESH or not rules.second_read)
        if not request.writes and request.row is not None and fresh:
            row = request.row
        if request.writes:
            site.version += 1
            site.written[request.process] = site.version
        if row.epoch == request.token.epoch:
            self._send(request.holder, request.life, self._token(row, now, request.trusted_until))

    def _token(self, row: Generations, now: float, trusted_until: float | None = None) -> Token:
        until = trusted_until or now + self.site.rules.window
        gen = row.generation + (row.next_issued_at is not None)
        return Token(row.epoch, gen, self.site.version, until, now)

    def _rotate(self, request: Request, now: float) -> Generations:
        site, base = self.site, request.row
        row = site.row
        if base is None or (base.epoch, base.generation) != (row.epoch, row.generation):
            return row
        if request.verdict is Verdict.ISSUE_NEXT and base.next_issued_at == row.next_issued_at:
            site.row = row._replace(next_issued_at=now)
            site.version, request.row_at = site.version + 1, 0.0
        elif request.verdict is Verdict.CONFIRM:
            site.row = Generations(row.epoch, row.generation + 1, now, None)
            site.version, request.row_at = site.version + 1, 0.0
        return site.row

    def _begin_epoch(self, request: Request) -> None:
        """The password was right: everything older is worthless, and the answer arrives."""
        site, holder = self.site, request.holder
        now = self.now + site.clocks[request.process]
        epoch = max(site.row.epoch + 1, int(now * 1000))
        site.row = Generations(epoch, 0, now, None)
        site.version, site.epoch_began = site.version + 1, self.now
        self.count["epochs"] += 1
        token, life = self._token(site.row, now), holder.lives

        def arrive() -> None:
            if holder.lives == life:
                holder.spare = (token, self.now + HAND_OVER) if site.rules.hand_over else None
                self._deliver(holder, life, token)
                for _ in range(self.rng.randint(1, 4)):  # the page that it leads to
                    self.at(self.now + self.rng.random() * 0.3, lambda: self.request(holder))

        self.at(self.now + site.rules.delay + self._lag(), arrive)

    def _send(self, holder: Holder, life: int, token: Token) -> None:
        if self.rng.random() >= 0.03:  # the others are lost on the way
            self.at(self.now + self._lag(), lambda: self._deliver(holder, life, token))

    def _lag(self) -> float:
        slow = self.rng.random() < 0.02
        return min(self.rng.uniform(0, 5) if slow else self.rng.expovariate(1 / 0.1), 5.0)

    def _deliver(self, holder: Holder, life: int, token: Token) -> None:
        if holder.lives != life:
            return
        holder.jar, holder.is_back = token, False
        if holder.honest and not holder.writing:
            holder.writing = True
            self.at(self.now + FILE, lambda: self._write_file(holder, life))

    @staticmethod
    def _write_file(holder: Holder, life: int) -> None:
        if holder.lives == life:
            holder.file, holder.writing = (holder.jar, holder.spare), False

    # --- people ----------------------------------------------------------------------------------

    def browse(self, tabs: int) -> None:
        """Load a page with its parallel requests, think, load the next; pause, sleep."""
        rng, habits = self.rng, self.habits
        for _ in range(rng.randint(1, 2 * tabs)):
            self.at(self.now + rng.random() * 0.3, lambda: self.request(self.browser))
        if rng.random() < habits.confirms:
            self.at(self.now + rng.uniform(2, 20), lambda: self._confirm())
        if rng.random() < habits.uploads:
            self.request(self.browser, collected=min(rng.expovariate(1 / 300), 1500.0))
        if rng.random() < habits.killed:
            self.at(self.now + rng.uniform(0, 60), self._kill)
        chance = rng.random()
        if chance < 0.94:
            gap = rng.lognormvariate(3.3, 1.0)  # the next page: 27 s in the middle
        elif chance < 0.99:
            gap = rng.uniform(300, 2 * HOUR)
        else:
            gap = rng.uniform(6 * HOUR, 14 * HOUR)
        self.at(self.now + gap, lambda: self.browse(tabs))

    def _confirm(self) -> None:
        self.request(self.browser, confirms=True)

    def _kill(self) -> None:
        """End the browser as SIGKILL does; it comes back with what its file holds."""
        browser = self.browser
        assert browser.file is not None
        browser.jar, browser.spare = browser.file
        browser.lives, browser.writing, browser.is_back = browser.lives + 1, False, True

    def steal(self, first_use: float, every: float | None, *, uploads: bool = False) -> None:
        """Copy the jar now; use the copy after `first_use` seconds, then about `every` seconds."""
        thief = Holder(False, self.browser.jar, self.browser.spare)

        def use() -> None:
            self.first_use = min(self.first_use, self.now)
            self.request(thief, collected=0.0 if uploads else None)
            if every is not None:
                self.at(self.now + self.rng.expovariate(1 / every), use)

        self.stolen_at, self.first_use = self.now, float("inf")
        self.shut_out_at = None
        self.at(self.now + first_use, use)
