"""What docs/performance.md shows of a run: Markdown between two markers, and plots beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.plots import Panel, bars
from benchmarks.report import Rounds, Spread

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- make bench: begin -->\n", "<!-- make bench: end -->\n"
SERVERS = {"wsgi": "gunicorn", "asgi": "uvicorn"}
LABELS = {"none": "no sessions"}
SHOWN = ("read", "write", "mix")


def write(result: dict[str, Any], docs: Path = DOCS) -> None:
    """Replace what is between the markers of performance.md, and the plots."""
    page = docs / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{page} needs the lines {BEGIN.strip()} and {END.strip()}")
    (docs / "plots").mkdir(exist_ok=True)
    for name, plot in plots(result).items():
        (docs / "plots" / f"{name}.svg").write_text(plot)
    page.write_text(f"{before}{BEGIN}\n{markdown(result)}\n{END}{after}")
    print(f"Written: {page} and {docs / 'plots'}")


def plots(result: dict[str, Any]) -> dict[str, str]:
    """Return the plots by name."""
    found = {}
    for interface, blocks in result["blocks"].items():
        panels = [
            Panel(
                name,
                {e: Spread.of(report.added(r)) for e, r in blocks[name].items() if e != "none"},
            )
            for name in SHOWN
            if name in blocks
        ]
        title = f"Microseconds that sessions add to a request, {interface.upper()}"
        if panels and panels[0].spreads:
            found[interface] = bars(title, panels)
    panels = [
        Panel(
            f"{SERVERS[interface]}, {sessions}",
            {LABELS.get(e, e): report.load_numbers(rounds)[0] for e, rounds in by.items()},
        )
        for interface, loads in result["loads"].items()
        for sessions, by in loads.items()
    ]
    if panels:
        found["http"] = bars("Requests a second, 64 clients, two workers", panels)
    return found


def markdown(result: dict[str, Any]) -> str:
    """Return the tables, with the plots above them."""
    parts = [_conditions(result)]
    parts += [_added(interface, blocks) for interface, blocks in result["blocks"].items()]
    parts.append(_ratios(result))
    if result["costs"]:
        parts.append(_costs(result["costs"]))
    if result["loads"]:
        parts.append(_loads(result["loads"]))
    return "\n\n".join(parts) + "\n"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _conditions(result: dict[str, Any]) -> str:
    packages = dict(result["packages"])
    django = packages.pop("Django", "")
    others = ", ".join(f"{name} {version}" for name, version in packages.items())
    database = "SQLite" if result["database"] == "sqlite" else "PostgreSQL and Redis"
    clock = "" if result["clock"] == "wall" else " Times are those of the processor."
    return (
        f"Python {result['python']}, Django {django}, {database} on the same machine,"
        f" {result['processors']} processors, load average {result['load_average']:.1f} before the"
        f" run; {others}. Numbers are medians of the rounds"
        f" ± half of the distance between the quartiles.{clock}"
    )


def _added(interface: str, blocks: dict[str, dict[str, Rounds]]) -> str:
    rows = []
    for engine in next(iter(blocks.values())):
        spreads = (Spread.of(report.added(by[engine])) for by in blocks.values())
        cells = [f"{round(spread.middle)} ± {spread.half:.0f}" for spread in spreads]
        rows.append(["*control*" if engine == "none" else engine, *cells])
    off = report.noise(blocks)
    control = f" The control was off by {off[0]:.0f} ± {off[1]:.0f} at most." if off else ""
    name = interface.upper()
    drawn = any(scenario in blocks for scenario in SHOWN)
    plot = [f"![Bars of what is added, {name}](plots/{interface}.svg)"] if drawn else []
    return "\n\n".join(
        [
            f"### {name}",
            *plot,
            "Microseconds that sessions add to a request that takes"
            f" {report.base(blocks).middle:.0f} without them.{control}",
            table(["", *blocks], rows),
        ]
    )


def _ratios(result: dict[str, Any]) -> str:
    interfaces = list(result["blocks"])
    head = ["What is added, as a ratio"]
    for interface in interfaces:
        head += [interface.upper(), "goal", "whole requests"]
    rows = []
    for goal in report.GOALS:
        row = [goal.name]
        for interface in interfaces:
            limit = goal.limits[interface]
            found = report.ratio(result["blocks"][interface], goal)
            if found is None:
                row += ["", f"{limit:.2f}", ""]
                continue
            spread = found[0]
            span = f"{spread.middle:.2f} ({spread.low:.2f}-{spread.high:.2f})"
            verdict = f"{limit:.2f}" if spread.middle <= limit else f"{limit:.2f}, missed"
            whole = report.ratio(result["blocks"][interface], goal, report.whole)
            row += [span, verdict, f"{whole[0].middle:.2f}" if whole else ""]
        rows.append(row)
    return (
        "### Ratios\n\nMedians of the rounds, and the quartiles; beside them the same ratio of"
        " whole requests, with all that Django does.\n\n" + table(head, rows)
    )


def _costs(costs: report.Costs) -> str:
    scenarios = list(next(iter(costs.values())))
    sent = "read" if "read" in scenarios else scenarios[0]
    rows = []
    for engine, by in costs.items():
        cells = (f"{by[s]['queries']:.0f}, {by[s]['set_cookie']:.0f}" for s in scenarios)
        rows.append([engine, *cells, f"{by[sent]['cookie']:.0f}"])
    return (
        "### Queries and bytes of a request\n\n"
        "Queries, and bytes of the answer's `Set-Cookie`; last the bytes of `Cookie`, which come"
        " with each request. Questions to Redis are not counted.\n\n"
        + table(["", *scenarios, "`Cookie`"], rows)
    )


def _loads(loads: dict[str, dict[str, dict[str, Rounds]]]) -> str:
    head, rows = [""], []
    for interface, by in loads.items():
        head += [f"{SERVERS[interface]}, {sessions}" for sessions in by]
    for engine in next(iter(next(iter(loads.values())).values())):
        row = [LABELS.get(engine, engine)]
        for by in loads.values():
            for rounds in by.values():
                rate, p50, p99, errors = report.load_numbers(rounds[engine])
                row.append(f"{rate.middle:.0f} ± {rate.half:.0f}; {p50:.0f}; {p99:.0f}; {errors}")
        rows.append(row)
    return (
        "### Behind servers\n\n![Bars of requests a second](plots/http.svg)\n\n"
        "Requests a second; median and 99th percentile of an answer's time in ms; errors and lost"
        " sessions of all rounds. 64 clients, 90 % reads, 4 % writes; two workers"
        " (gunicorn: gthread with 4 threads each). The load generator, the"
        " servers and the databases share the processors.\n\n" + table(head, rows)
    )
