"""The page that says what runs on clusters have proved: from their numbers into the docs.

    CLUSTER_REPORT=FILE make test-cluster; python -m tests.cluster.report FILE

Of several runs of one name the last counts; a row of the page whose run is not in FILE stays.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "many-machines.md"
_HEAD = (
    "| run | logins | pages read | writes, acknowledged | ends | answers 500 |"
    " an end was last not known after | breaches |\n|---|---:|---:|---:|---:|---:|---:|---:|\n"
)
# What the checker says of a breach, and what that is called.
_KINDS = {
    "is lost": "lost writes",
    "was ended and answers": "ends that are not known",
    "status": "errors",
    "is nobody": "false logouts",
    "and was": "strangers",
    "sees what is not its own": "strangers",
    "false alarms": "false alarms",
}


def kinds(problems: list[str]) -> dict[str, int]:
    """Return how many breaches there are of each kind."""
    return Counter(
        next(kind for words, kind in _KINDS.items() if words in problem) for problem in problems
    )


def row(run: dict[str, Any]) -> str:
    """Return a run's row of the table."""
    statuses = run["statuses"]
    breaches = [f"{count:,} {kind}" for kind, count in sorted(run["breaches"].items())]
    cells = [
        run["run"],
        f"{run['logins']:,}",
        f"{run['reads']:,}",
        f"{run['writes']:,}, {run['acknowledged']:,}",
        f"{run['ends']:,}",
        f"{statuses.get('500', statuses.get(500, 0)):,}",
        f"{run['last_seen_after_end']:g} s",
        ", ".join(breaches) or "0",
    ]
    return f"| {' | '.join(cells)} |\n"


def renewed(page: str, runs: list[dict[str, Any]]) -> str:
    """Return a page with the rows of some runs in its table."""
    before, head, rest = page.partition(_HEAD)
    assert head, "The page has no such table."
    table, blank, after = rest.partition("\n\n")
    rows = {line.split(" | ")[0].removeprefix("| "): f"{line}\n" for line in table.splitlines()}
    rows |= {run["run"]: row(run) for run in runs}
    return before + head + "".join(rows.values()).rstrip("\n") + blank + after


def main() -> None:
    """Write the page."""
    runs = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    PAGE.write_text(renewed(PAGE.read_text(), runs))


if __name__ == "__main__":
    main()
