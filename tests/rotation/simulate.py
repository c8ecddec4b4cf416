"""Browser-days by the thousand: how often rotation is wrong, and how soon it finds a thief.

    python -m tests.rotation.simulate --days 4000
    python -m tests.rotation.simulate --days 2000 --thief stays
    python -m tests.rotation.simulate --days 4000 --without second-read

A model of the engine, not the engine (the state machine drives that): a row, processes, a cookie
jar, and rotation.judge(). Times in seconds. The same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from django_jwtsession.backends.policy import Generations, Verdict, judge

HOUR, DAY = 3600.0, 86400.0
WINDOW = 60.0  # REVALIDATE_AFTER; 0 as for sessions too big for their cookie
FRESH = 0.1
PARTS = ("second-read", "settle", "grace")


@dataclass(frozen=True)
class Token:
    gen: int
    ver: int
    trusted_until: float


@dataclass(eq=False)
class Holder:
    """A jar, and who looks into it."""

    honest: bool
    jar: Token | None = None


@dataclass
class Site:
    """The row and the rules, on servers whose clocks differ."""

    rotate_after: float = HOUR
    grace: float = 300.0
    settle: float = 15.0
    second_read: bool = True
    window: float = WINDOW
    row: Generations | None = None
    version: int = 1
    written: dict[int, int] = field(default_factory=dict)  # version by process
    clocks: tuple[float, ...] = (0.0, 4.0, -5.0, 5.0)
    alarm: bool = False
    alarm_by: Holder | None = None


@dataclass(eq=False)
class Request:
    holder: Holder
    token: Token
    process: int
    began: float
    writes: bool
    verdict: Verdict | None = None
    row: Generations | None = None
    row_at: float = 0.0
    trusted_until: float | None = None


class Simulation:
    """One browser, its site, and perhaps a thief, for a while."""

    def __init__(self, site: Site, rng: random.Random) -> None:
        self.site, self.rng = site, rng
        self.now = 0.0
        self.requests = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0
        site.row = Generations(0, 0.0, None)
        self.browser = Holder(True, Token(0, 1, WINDOW))

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (when, self._serial, what))

    def run(self, until: float) -> None:
        while self._queue and not self.site.alarm:
            when, _, what = heapq.heappop(self._queue)
            if when > until:
                return
            self.now = when
            what()

    # --- a request -------------------------------------------------------------------------------

    def request(self, holder: Holder) -> None:
        """Send a request now, with the cookie that the jar holds now."""
        if holder.jar is None:
            return
        rng, site = self.rng, self.site
        self.requests += 1
        process = rng.randrange(len(site.clocks))
        request = Request(
            holder, holder.jar, process, self.now + site.clocks[process], rng.random() < 0.1
        )
        lasts = rng.uniform(1, 400) if rng.random() < 0.01 else rng.expovariate(1 / 0.15)
        reads_after = 0.0 if rng.random() < 0.9 else lasts * rng.random()
        self.at(self.now + reads_after, lambda: self._read(request))
        self.at(self.now + lasts, lambda: self._answer(request))

    def _read(self, request: Request) -> None:
        site, token = self.site, request.token
        assert site.row is not None
        now = self.now + site.clocks[request.process]
        if now < token.trusted_until and token.ver >= site.written.get(request.process, 0):
            request.trusted_until = token.trusted_until
            return
        request.row, request.row_at = site.row, now
        request.verdict = judge(
            token.gen,
            site.row,
            request.began,
            rotate_after=site.rotate_after,
            grace=site.grace,
            settle=site.settle,
        )
        if request.verdict is Verdict.REUSED:
            site.alarm, site.alarm_by = True, request.holder
        assert request.verdict is not Verdict.IMPOSSIBLE

    def _answer(self, request: Request) -> None:
        """Rotate as judged, write, and send the cookie: rows change only here."""
        site = self.site
        if request.row is None and not request.writes:
            return
        now = self.now + site.clocks[request.process]
        if self.rng.random() < 0.01:  # 5xx
            return
        row, base = self._rotate(request, now), request.row
        if request.writes:
            site.version += 1
            site.written[request.process] = site.version
        elif not site.second_read and base is not None and request.row_at:
            row = base
        gen = row.generation + (row.next_issued_at is not None)
        until = request.trusted_until or (now if site.second_read else request.row_at) + site.window
        token = Token(gen, site.version, until)
        if self.rng.random() >= 0.03:  # the others are lost on the way
            slow = self.rng.random() < 0.02
            lag = self.rng.uniform(0, 5) if slow else self.rng.expovariate(1 / 0.1)
            self.at(self.now + min(lag, 5.0), lambda: self._deliver(request.holder, token))

    def _rotate(self, request: Request, now: float) -> Generations:
        site, base = self.site, request.row
        assert site.row is not None
        if base is not None and base.generation == site.row.generation:
            if request.verdict is Verdict.ISSUE_NEXT and site.row.next_issued_at is None:
                site.row = site.row._replace(next_issued_at=now)
                site.version, request.row_at = site.version + 1, 0.0
            elif request.verdict is Verdict.CONFIRM:
                site.row = Generations(base.generation + 1, now, None)
                site.version, request.row_at = site.version + 1, 0.0
        return site.row

    @staticmethod
    def _deliver(holder: Holder, token: Token) -> None:
        holder.jar = token

    # --- people ----------------------------------------------------------------------------------

    def browse(self, tabs: int) -> None:
        """Load a page with its parallel requests, think, load the next; pause, sleep."""
        rng = self.rng
        for _ in range(rng.randint(1, 2 * tabs)):
            self.at(self.now + rng.random() * 0.3, lambda: self.request(self.browser))
        chance = rng.random()
        if chance < 0.94:
            gap = rng.lognormvariate(3.3, 1.0)  # the next page: 27 s in the middle
        elif chance < 0.99:
            gap = rng.uniform(300, 2 * HOUR)
        else:
            gap = rng.uniform(6 * HOUR, 14 * HOUR)
        self.at(self.now + gap, lambda: self.browse(tabs))

    def steal(self, first_use: float, every: float | None) -> None:
        """Copy the jar now; use the copy after `first_use` seconds, then about `every` seconds."""
        thief = Holder(False, self.browser.jar)

        def use() -> None:
            self.first_use = min(self.first_use, self.now)
            self.request(thief)
            if every is not None:
                self.at(self.now + self.rng.expovariate(1 / every), use)

        self.stolen_at, self.first_use = self.now, float("inf")
        self.at(self.now + first_use, use)


# The first use, at most so long after the theft; then about every so many seconds, with the cookies
# that the answers bring.
THIEVES = {"later": (DAY, None), "stays": (0.0, 600.0), "in-step": (0.0, 20.0)}


def honest(options: argparse.Namespace, rng: random.Random) -> None:
    """Count false alarms."""
    days = alarms = requests = 0
    while days < options.days:
        simulation = simulated(options, rng)
        simulation.run(10 * DAY)
        alarms += simulation.site.alarm
        requests += simulation.requests
        days += 10
    print(f"{days} browser-days, {requests} requests: {alarms} false alarms")


def with_thief(options: argparse.Namespace, rng: random.Random) -> None:
    """Measure when the thief is found, within seven days of the theft."""
    latest, every = THIEVES[options.thief]
    found: list[float] = []
    at_first_use = thefts = 0
    for _ in range(options.days // 10):
        thefts += 1
        simulation = simulated(options, rng)
        stolen_at = rng.uniform(DAY, 2 * DAY)
        first_use = rng.uniform(0, latest)

        def steal(sim: Simulation = simulation, first_use: float = first_use) -> None:
            sim.steal(first_use, every)

        simulation.at(stolen_at, steal)
        simulation.run(stolen_at + 7 * DAY)
        if simulation.site.alarm:
            found.append(simulation.now - simulation.stolen_at)
            at_first_use += simulation.now - simulation.first_use < 400
    line = f"{thefts} thefts, {options.thief}: {len(found)} found within 7 days"
    line += f", {at_first_use} of them at the first use"
    if found:
        hours = sorted(seconds / HOUR for seconds in found)
        late = hours[int(len(hours) * 0.95)]
        line += f"; after the theft: half in {statistics.median(hours):.1f} h, 95% in {late:.1f} h"
    print(line)


def simulated(options: argparse.Namespace, rng: random.Random) -> Simulation:
    site = Site(rotate_after=options.rotate_after, window=options.window)
    if "second-read" in options.without:
        site.second_read = False
    if "settle" in options.without:
        site.settle = 0.0
    if "grace" in options.without:
        site.grace = 0.0
    simulation = Simulation(site, rng)
    simulation.browse(rng.randint(1, 5))
    return simulation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=4000, help="browser-days to simulate")
    parser.add_argument("--thief", choices=THIEVES)
    parser.add_argument("--without", choices=PARTS, nargs="*", default=[])
    parser.add_argument("--rotate-after", type=float, default=HOUR)
    parser.add_argument("--window", type=float, default=WINDOW)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    (with_thief if options.thief else honest)(options, rng)


if __name__ == "__main__":
    main()
