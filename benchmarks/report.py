"""Numbers of many rounds to ratios, and both to a table in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median, quantiles
from typing import Any, NamedTuple

# blocks[interface][scenario][engine] is a list of rounds, each {"base": us, "engine": us, "n": ..}.
Blocks = dict[str, dict[str, dict[str, list[dict[str, float]]]]]

STOCK = "django signed_cookies"
CAN_REVOKE = ("django db", "django cached_db", "django cache", "user_sessions", "qsessions")


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
    _goal("db read / django db", "db", "read", "django db", 0.60, 0.60),
    _goal("cookie write / signed_cookies", "cookie", "write", STOCK, 0.75, 0.35),
    _goal("db write / django db", "db", "write", "django db", 0.50, 0.60),
    _goal("hybrid write / django cached_db", "hybrid", "write", "django cached_db", 0.35, 0.35),
    Goal(
        "forged / anonymous", "cookie", "forged", "cookie", "anonymous", {"wsgi": 1.5, "asgi": 1.5}
    ),
    _goal("mix: hybrid / best peer that can revoke", "hybrid", "mix", "best", 0.35, 0.30),
]


def added(rounds: list[dict[str, float]]) -> list[float]:
    """Return what sessions added to a request in each round, in microseconds."""
    return [found["engine"] - found["base"] for found in rounds]


def whole(rounds: list[dict[str, float]]) -> list[float]:
    """Return what the whole request took in each round, in microseconds."""
    return [found["engine"] for found in rounds]


Cost = Callable[[list[dict[str, float]]], list[float]]


def ratio(
    blocks: dict[str, dict[str, list[dict[str, float]]]], goal: Goal, cost: Cost = added
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


def tables(blocks: Blocks, costs: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return everything as text."""
    parts = [_added_table(name, found) for name, found in blocks.items()]
    parts += [_goal_table(blocks)]
    if costs:
        parts.append(_cost_table(costs))
    return "\n\n".join(parts)


def _added_table(interface: str, blocks: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    scenarios = list(blocks)
    engines = list(next(iter(blocks.values())))
    base = Spread.of(r["base"] for by in blocks.values() for rs in by.values() for r in rs)
    lines = [
        f"{interface.upper()}: microseconds added to a request without sessions"
        f" ({base.middle:.0f}); median of the rounds +- half of the quartiles' distance",
        f"{'':<24}" + "".join(f"{name:>16}" for name in scenarios),
    ]
    for engine in engines:
        cells = []
        for scenario in scenarios:
            spread = Spread.of(added(blocks[scenario][engine]))
            half = (spread.high - spread.low) / 2
            cells.append(f"{spread.middle:.0f} +-{half:.0f}".rjust(16))
        label = "none (A/A: the noise)" if engine == "none" else engine
        lines.append(f"{label:<24}" + "".join(cells))
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


def _cost_table(costs: dict[str, dict[str, dict[str, float]]]) -> str:
    scenarios = list(next(iter(costs.values())))
    lines = [
        "Queries / bytes of Set-Cookie a request",
        f"{'':<24}" + "".join(f"{name:>12}" for name in scenarios),
    ]
    for engine, by in costs.items():
        cells = (f"{by[s]['queries']:.0f} / {by[s]['cookie']:.0f}" for s in scenarios)
        lines.append(f"{engine:<24}" + "".join(f"{cell:>12}" for cell in cells))
    return "\n".join(lines)


def as_json(blocks: Blocks) -> list[dict[str, Any]]:
    """Return the ratios of the goals as JSON takes them."""
    found = []
    for interface, by in blocks.items():
        for goal in GOALS:
            result = ratio(by, goal)
            if result is not None:
                spread, against = result
                found.append(
                    {
                        "interface": interface,
                        "name": goal.name,
                        "against": against,
                        "limit": goal.limits[interface],
                        **spread._asdict(),
                        "whole_request": ratio(by, goal, whole)[0].middle,  # type: ignore[index]
                    }
                )
    return found
