"""Numbers of many rounds to medians and ratios, and both to tables in the terminal.

python -m benchmarks.report [--write-docs] benchmarks/engines.json    # what an earlier run found
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.project import ENGINES

# One block: {"base": us of a request without sessions, "engine": us of one with, "n": pairs}.
Rounds = list[dict[str, float]]
# blocks[interface][scenario][engine]
Blocks = dict[str, dict[str, dict[str, Rounds]]]
# costs[engine][scenario] is {"queries": .., "set_cookie": bytes, "cookie": bytes}.
Costs = dict[str, dict[str, dict[str, float]]]

STOCK = "django signed_cookies"
CAN_REVOKE = [name for name, engine in ENGINES.items() if engine.revocable and not engine.ours]


class Spread(NamedTuple):
    """The median of the rounds and the quartiles beside it."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        found = list(values)
        if len(found) < 2:
            return cls(found[0], found[0], found[0])
        low, _, high = quantiles(found, n=4, method="inclusive")
        return cls(median(found), low, high)

    @property
    def half(self) -> float:
        """Half of the distance between the quartiles."""
        return (self.high - self.low) / 2


class Goal(NamedTuple):
    """A ratio of two added costs, and how much it may be."""

    name: str
    engine: str
    scenario: str
    against: str
    against_scenario: str
    limits: dict[str, float]


def _goal(name: str, ours: str, scenario: str, against: str, wsgi: float, asgi: float) -> Goal:
    return Goal(name, ours, scenario, against, scenario, {"wsgi": wsgi, "asgi": asgi})


GOALS = [
    _goal("untouched / signed_cookies, stock middleware", "cookie", "untouched", STOCK, 1.0, 0.15),
    _goal("cookie read / signed_cookies", "cookie", "read", STOCK, 0.70, 0.20),
    _goal("hybrid read / signed_cookies", "hybrid", "read", STOCK, 0.75, 0.20),
    _goal("hybrid read / django db", "hybrid", "read", "django db", 0.08, 0.05),
    _goal("strict hybrid read / hybrid", "hybrid strict", "read", "hybrid", 1.10, 1.10),
    _goal("db read / django db", "db", "read", "django db", 0.60, 0.60),
    _goal("cookie write / signed_cookies", "cookie", "write", STOCK, 0.75, 0.35),
    _goal("db write / django db", "db", "write", "django db", 0.50, 0.60),
    _goal("hybrid write / django cached_db", "hybrid", "write", "django cached_db", 0.60, 0.60),
    _goal("hybrid write by POST / django db", "hybrid", "write by POST", "django db", 0.60, 0.60),
    _goal(
        "hybrid write by POST / cached_db",
        "hybrid",
        "write by POST",
        "django cached_db",
        0.60,
        0.60,
    ),
    Goal(
        "forged / anonymous", "cookie", "forged", "cookie", "anonymous", {"wsgi": 1.5, "asgi": 1.5}
    ),
    _goal("mix: hybrid / best peer that can revoke", "hybrid", "mix", "best", 0.35, 0.30),
]


def added(rounds: Rounds) -> list[float]:
    """Return what sessions added to a request in each round, in microseconds."""
    return [found["engine"] - found["base"] for found in rounds]


def whole(rounds: Rounds) -> list[float]:
    """Return what the whole request took in each round, in microseconds."""
    return [found["engine"] for found in rounds]


Cost = Callable[[Rounds], list[float]]


def ratio(
    blocks: dict[str, dict[str, Rounds]], goal: Goal, cost: Cost = added
) -> tuple[Spread, str] | None:
    """Return the ratio that a goal speaks of, round by round, and the peer it is to.

    None where one of both was not measured.
    """
    mine = blocks.get(goal.scenario, {}).get(goal.engine)
    peers = blocks.get(goal.against_scenario, {})
    against = goal.against
    if against == "best":
        able = [name for name in CAN_REVOKE if name in peers]
        against = min(able, key=lambda name: median(cost(peers[name])), default="")
    theirs = peers.get(against)
    if not mine or not theirs:
        return None
    pairs = zip(cost(mine), cost(theirs), strict=True)
    return Spread.of(a / b for a, b in pairs if b), against


def ratios(blocks: Blocks) -> list[dict[str, Any]]:
    """Return the ratios of the goals as JSON takes them."""
    found = []
    for interface, by in blocks.items():
        for goal in GOALS:
            result, all_of_it = ratio(by, goal), ratio(by, goal, whole)
            if result is not None and all_of_it is not None:
                found.append(
                    {
                        "interface": interface,
                        "name": goal.name,
                        "against": result[1],
                        "limit": goal.limits[interface],
                        **result[0]._asdict(),
                        "whole_request": all_of_it[0].middle,
                    }
                )
    return found


def noise(blocks: dict[str, dict[str, Rounds]]) -> tuple[float, float] | None:
    """Return how far the control was off at most, and its widest spread; None without a control."""
    found = [Spread.of(added(by["none"])) for by in blocks.values() if "none" in by]
    if not found:
        return None
    return max(abs(spread.middle) for spread in found), max(spread.half for spread in found)


def base(blocks: dict[str, dict[str, Rounds]]) -> Spread:
    """Return what a request without sessions took."""
    return Spread.of(r["base"] for by in blocks.values() for rs in by.values() for r in rs)


# --- in the terminal -----------------------------------------------------------------------------


def tables(result: dict[str, Any]) -> str:
    """Return everything as text."""
    parts = [_added_table(name, found) for name, found in result["blocks"].items()]
    parts.append(_goal_table(result["blocks"]))
    if result["costs"]:
        parts.append(_cost_table(result["costs"]))
    parts += [_load_table(interface, found) for interface, found in result["loads"].items()]
    return "\n\n".join(parts)


def _added_table(interface: str, blocks: dict[str, dict[str, Rounds]]) -> str:
    scenarios = list(blocks)
    engines = list(next(iter(blocks.values())))
    rounds = len(blocks[scenarios[0]][engines[0]])
    lines = [
        f"{interface.upper()}: microseconds added to a request without sessions"
        f" ({base(blocks).middle:.0f});"
        f" median of {rounds} rounds ± half of the quartiles' distance",
        f"{'':<22}" + "".join(f"{name:>12}" for name in scenarios),
    ]
    for engine in engines:
        spreads = (Spread.of(added(blocks[scenario][engine])) for scenario in scenarios)
        cells = "".join(
            f"{round(spread.middle)} ±{spread.half:.0f}".rjust(12) for spread in spreads
        )
        label = "none (A/A: the noise)" if engine == "none" else engine
        lines.append(f"{label:<22}{cells}")
    return "\n".join(lines)


def _goal_table(blocks: Blocks) -> str:
    head = "".join(f"{name:>9}{'':>18}{'goal':>6}" for name in blocks)
    lines = ["Ratios of what is added; median of the rounds (quartiles)", f"{'':<46}{head}"]
    lines += [
        f"{goal.name:<46}" + "".join(_goal_cell(blocks, i, goal) for i in blocks) for goal in GOALS
    ]
    return "\n".join(lines)


def _goal_cell(blocks: Blocks, interface: str, goal: Goal) -> str:
    limit = goal.limits[interface]
    found = ratio(blocks[interface], goal)
    if found is None:
        return f"{'-':>9}{'':>18}{limit:>6.2f}"
    spread = found[0]
    mark = " " if spread.middle <= limit else "!"
    span = f"({spread.low:.2f}-{spread.high:.2f})"
    return f"{spread.middle:>8.2f}{mark}{span:>18}{limit:>6.2f}"


def _cost_table(costs: Costs) -> str:
    scenarios = list(next(iter(costs.values())))
    lines = [
        "Queries / bytes of Cookie / bytes of Set-Cookie, of one request",
        f"{'':<22}" + "".join(f"{name:>14}" for name in scenarios),
    ]
    for engine, by in costs.items():
        cells = (
            f"{by[s]['queries']:.0f} / {by[s]['cookie']:.0f} / {by[s]['set_cookie']:.0f}"
            for s in scenarios
        )
        lines.append(f"{engine:<22}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)


def _load_table(interface: str, loads: dict[str, dict[str, Rounds]]) -> str:
    server = {"wsgi": "gunicorn, gthread", "asgi": "uvicorn"}[interface]
    lines = [
        f"{server}, 2 workers, 64 clients: requests a second ± half of the quartiles' distance"
        " | p50 ms | p99 ms | errors",
        f"{'':<22}" + "".join(f"{sessions:>36}" for sessions in loads),
    ]
    for engine in next(iter(loads.values())):
        cells = []
        for by in loads.values():
            rate, p50, p99, errors = load_numbers(by[engine])
            cells.append(f"{rate.middle:.0f} ±{rate.half:.0f} | {p50:.1f} | {p99:.0f} | {errors}")
        lines.append(f"{engine:<22}" + "".join(f"{cell:>36}" for cell in cells))
    return "\n".join(lines)


def load_numbers(rounds: Rounds) -> tuple[Spread, float, float, int]:
    """Return the rate, the medians of p50 and p99 (ms), and all errors and lost sessions."""
    middle = {name: median(found[name] for found in rounds) for name in ("p50", "p99")}
    errors = int(sum(found["errors"] + found["lost"] for found in rounds))
    return Spread.of(found["rate"] for found in rounds), middle["p50"], middle["p99"], errors


def main() -> None:
    from benchmarks import pages

    parser = argparse.ArgumentParser(description="Show what an earlier run found.")
    parser.add_argument("json", nargs="?", default="benchmarks/engines.json")
    parser.add_argument("--write-docs", action="store_true", help="tables and plots into docs/")
    options = parser.parse_args()
    result = json.loads(Path(options.json).read_text())
    print(tables(result))
    if options.write_docs:
        pages.write(result)


if __name__ == "__main__":
    main()
