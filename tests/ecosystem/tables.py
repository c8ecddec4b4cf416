"""The tables of docs/neighbours.md that the tests write."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """A table between two comments; each row begins with an anchor, its name."""

    page: Path
    begin: str
    end: str
    head: tuple[str, ...]

    def rows(self) -> dict[str, str]:
        """Return the rows by their name."""
        table = self.page.read_text().partition(self.begin)[2].partition(self.end)[0]
        lines = [line for line in table.splitlines() if line.startswith("| <a id=")]
        found = (re.match(r'\| <a id="(\w+)"></a>', line) for line in lines)
        return {match[1]: line for match, line in zip(found, lines, strict=True) if match}

    def write(self, name: str, row: str, order: Iterable[str]) -> None:
        """Put a row into the table; processes take turns."""
        head = f"| {' | '.join(self.head)} |\n{'|---' * len(self.head)}|\n"
        with self.page.open("r+") as page:
            fcntl.flock(page, fcntl.LOCK_EX)
            rows = self.rows() | {name: row}
            table = head + "".join(rows[each] + "\n" for each in order if each in rows)
            before, _, rest = page.read().partition(self.begin)
            page.seek(0)
            page.write(f"{before}{self.begin}\n\n{table}\n{self.end}{rest.partition(self.end)[2]}")
            page.truncate()
