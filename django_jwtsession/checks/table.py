"""A row of the tables of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.core import checks

Problems = Callable[[], Iterable[str]]


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    `id` begins with the letter of its level: E(rror), W(arning), I(nfo). `problems` returns a
    message for each place where it is wrong; `hint` says what to write, unless the messages do.
    """

    id: str
    problems: Problems
    hint: str | None = None

    @property
    def level(self) -> int:
        """The level of Django's checks that the letter stands for."""
        return {"E": checks.ERROR, "W": checks.WARNING, "I": checks.INFO}[self.id[0]]

    def run(self) -> list[checks.CheckMessage]:
        """Return Django's messages for what is wrong now."""
        id_ = f"django_jwtsession.{self.id}"
        return [checks.CheckMessage(self.level, m, self.hint, id=id_) for m in self.problems()]


def when(is_wrong: Callable[[], bool], message: str) -> Problems:
    """Return `problems` of a check that has one message, for when `is_wrong` says so."""
    return lambda: [message] if is_wrong() else []
