"""What a line of the feed says, in the table, in memory and on its way through a cache."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

SESSION, USER, EVERYONE = "s", "u", "e"

# The reason of a line that ends nothing: it tells until when tokens of a session can live.
AGE = "age"

# The epoch of a session that has ended for good, in the place of none; larger than any.
FOR_GOOD = 2**63 - 1


@dataclass(frozen=True)
class Entry:
    """An end that others are to know: see models.Revocation.

    `kind` is "s" (`name` is a sid), "u" (a user's pk as text) or "e" (everyone, no name). `epoch`
    is the last one that has ended (milliseconds since 1970), None for good; `before` the moment
    (Unix time) from before which logins have ended; `expires_at` when no token can need it (Unix
    time).
    """

    kind: str
    name: str
    expires_at: float
    reason: str
    epoch: int | None = None
    before: float | None = None
    keep_sid: str = ""


class Line(NamedTuple):
    """A row of Revocation; `created_at` is by the database's clock and only ever compared."""

    pk: int
    kind: str
    name: str
    epoch: int | None
    before: float | None
    keep_sid: str
    reason: str
    expires_at: float
    created_at: float

    @property
    def says(self) -> tuple[object, ...]:
        """What it ends: two lines that say the same are one end."""
        return self[1:6]


def pack(lines: Iterable[Line]) -> bytes:
    """Return lines as bytes, to be kept or sent."""
    return json.dumps([*lines], separators=(",", ":")).encode()


def unpack(packed: bytes) -> list[Line]:
    """Return the lines that pack() was given. Raises ValueError or TypeError for anything else."""
    return [Line(*values) for values in json.loads(packed)]


def as_number(epoch: int) -> float:
    """Return a stored epoch as the feed's callers compare it: math.inf for good."""
    return math.inf if epoch == FOR_GOOD else epoch
