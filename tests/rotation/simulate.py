"""Browser-days by the thousand: how often rotation is wrong, and how soon it finds a thief.

    python -m tests.rotation.simulate --days 4000
    python -m tests.rotation.simulate --days 2000 --thief stays
    python -m tests.rotation.simulate --days 4000 --without second-read
    python -m tests.rotation.simulate --epochs 3000

Over model.py. The same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections import Counter
from dataclasses import replace
from typing import Any

from .model import DAY, HOUR, WINDOW, Habits, Rules, Simulation, Site

WITHOUT: dict[str, dict[str, Any]] = {
    "second-read": {"second_read": False},
    "settle": {"settle": 0.0},
    "grace": {"grace": 0.0},
    "uploads": {"uploads": False},
}
# The first use, at most so long after the theft; then about every so many seconds, with the cookies
# that the answers bring. The last one sends a long body each time.
THIEVES = {
    "later": (DAY, None),
    "stays": (0.0, 600.0),
    "in-step": (0.0, 20.0),
    "uploads": (0.0, 600.0),
}


def honest(options: argparse.Namespace, rng: random.Random) -> None:
    """Count false alarms, and who was signed out for another reason."""
    days = alarms = 0
    count: Counter[str] = Counter()
    while days < options.days:
        simulation = simulated(options, rng)
        simulation.run(10 * DAY)
        alarms += simulation.site.alarm
        count += simulation.count
        days += 10
    print(f"{days} browser-days: {alarms} false alarms")
    for what, number in sorted(count.items()):
        print(f"  {what}: {number}")


def with_thief(options: argparse.Namespace, rng: random.Random) -> None:
    """Measure when the thief is found, or shut out by a new epoch, within seven days."""
    latest, every = THIEVES[options.thief]
    found: list[float] = []
    at_first_use = thefts = shut_out = 0
    count: Counter[str] = Counter()
    for _ in range(options.days // 10):
        thefts += 1
        simulation = simulated(options, rng)
        stolen_at = rng.uniform(DAY, 2 * DAY)
        first_use = rng.uniform(0, latest)

        def steal(sim: Simulation = simulation, first_use: float = first_use) -> None:
            sim.steal(first_use, every, uploads=options.thief == "uploads")

        simulation.at(stolen_at, steal)
        simulation.run(stolen_at + 7 * DAY)
        count += simulation.count
        if simulation.shut_out_at:
            shut_out += 1
            found.append(simulation.shut_out_at - simulation.stolen_at)
        elif simulation.site.alarm:
            found.append(simulation.now - simulation.stolen_at)
            at_first_use += simulation.now - simulation.first_use < 400
    line = f"{thefts} thefts, {options.thief}: {len(found) - shut_out} found within 7 days"
    line += f", {at_first_use} of them at the first use; {shut_out} shut out by a proof"
    if found:
        hours = sorted(seconds / HOUR for seconds in found)
        late = hours[int(len(hours) * 0.95)]
        line += f"; after the theft: half in {statistics.median(hours):.1f} h, 95% in {late:.1f} h"
    print(line)
    for what, number in sorted(count.items()):
        if what.startswith("copy"):
            print(f"  {what}: {number}")


# Ways to let the new epoch's cookie win, from none to all.
WAYS: dict[str, dict[str, Any]] = {
    "no second read, nothing": {"second_read": False, "patient": False, "rotate_after": None},
    "nothing": {"patient": False},
    "answers bring it again for 15 s": {"patient": False, "resend": 15.0},
    "its answer waits 1 s": {"patient": False, "delay": 1.0},
    "both": {"patient": False, "resend": 15.0, "delay": 1.0},
    "a second cookie": {"patient": False, "hand_over": True},
    "uploads get no cookie": {},
    "and answers bring it again": {"resend": 15.0},
    "and a second cookie": {"hand_over": True},
}
ENGINES: dict[str, dict[str, Any]] = {
    "db": {"window": 0.0, "reissues": False, "rotate_after": None},
    "hybrid": {},
    "hybrid, too big": {"window": 0.0, "copies": False},
}


def epochs(options: argparse.Namespace, rng: random.Random) -> None:
    """Count, in each cell, who is signed out since an older answer overtook the new cookie."""
    print(f"{options.epochs} epochs a cell; signed out of 10,000, with 1, 3 and 5 tabs")
    for engine, kind in ENGINES.items():
        for way, rules in WAYS.items():
            cells = [_cell(Rules(**kind | rules), tabs, options, rng) for tabs in (1, 3, 5)]
            print(f"{engine:16} {way:34}", *(f"{cell:6.1f}" for cell in cells), flush=True)


def _cell(rules: Rules, tabs: int, options: argparse.Namespace, rng: random.Random) -> float:
    simulation = Simulation(Site(rules), rng, Habits(confirms=0.2 / tabs, killed=0.0))
    for _ in range(tabs):
        simulation.browse(2)
    simulation.run(float("inf"), options.epochs)
    assert not simulation.site.alarm
    return simulation.count["signed out: overtaken"] / simulation.count["epochs"] * 10000


def simulated(options: argparse.Namespace, rng: random.Random) -> Simulation:
    rules = Rules(rotate_after=options.rotate_after, window=options.window)
    for part in options.without:
        rules = replace(rules, **WITHOUT[part])
    habits = Habits(confirms=options.confirms)
    simulation = Simulation(Site(rules), rng, habits)
    simulation.browse(rng.randint(1, 5))
    return simulation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=int, default=4000, help="browser-days to simulate")
    parser.add_argument("--epochs", type=int, help="compare ways of handing a new epoch over")
    parser.add_argument("--thief", choices=THIEVES)
    parser.add_argument("--without", choices=WITHOUT, nargs="*", default=[])
    parser.add_argument("--confirms", type=float, default=0.01, help="proofs of identity a page")
    parser.add_argument("--rotate-after", type=float, default=HOUR)
    parser.add_argument("--window", type=float, default=WINDOW)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    (epochs if options.epochs else with_thief if options.thief else honest)(options, rng)


if __name__ == "__main__":
    main()
