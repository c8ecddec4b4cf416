"""Whether a transaction sees what others have ended meanwhile: as each database says it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from django_jwtsession.revocation import isolation


class Cursor:
    """Answers SHOW transaction_isolation, as PostgreSQL does."""

    def __init__(self, level: str | None) -> None:
        self.level = level
        self.asked: list[str] = []

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def execute(self, sql: str) -> None:
        self.asked.append(sql)

    def fetchone(self) -> tuple[str | None]:
        assert self.asked == ["SHOW transaction_isolation"]
        return (self.level,)


@pytest.mark.parametrize(
    ("vendor", "level", "old"),
    [
        ("postgresql", "read committed", False),
        ("postgresql", "read uncommitted", False),  # which PostgreSQL takes for the other
        ("postgresql", "repeatable read", True),
        ("postgresql", "serializable", True),
        ("mysql", "read committed", False),
        ("mysql", "read uncommitted", False),
        ("mysql", "repeatable read", True),
        ("mysql", "serializable", True),
        ("mysql", None, True),  # the server's own default
        ("sqlite", None, True),
        ("oracle", None, False),
    ],
)
def test_transaction_is_of_old_by_its_database_and_isolation(
    vendor: str, level: str | None, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection: Any = SimpleNamespace(
        vendor=vendor, isolation_level=level, cursor=lambda: Cursor(level)
    )
    monkeypatch.setattr(isolation, "connections", {"sessions": connection})
    monkeypatch.setattr(isolation, "in_transaction", lambda using: using == "sessions")
    assert isolation.reads_old_snapshot("sessions") is old


def test_outside_of_a_transaction_nothing_is_of_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "connections", {})
    monkeypatch.setattr(isolation, "in_transaction", lambda _: False)
    assert not isolation.reads_old_snapshot("default")
