"""What a database says of how it finds the rows of a statement: PostgreSQL and MariaDB."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.db import connection

from django_jwtsession.models import Revocation, Session, SessionEvent

TABLES = {model._meta.db_table for model in (Session, SessionEvent, Revocation)}


class Scan(NamedTuple):
    """A table that is read from one end: to the other, or until a LIMIT is reached."""

    table: str
    limited: bool
    sql: str


def scans(operation: Callable[[], Any]) -> list[Scan]:
    """Run an operation; return what of it reads tables of ours without a condition on an index."""
    seen: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        operation()
    verbs = ("SELECT", "UPDATE", "DELETE")
    # The first of those that differ in nothing but their parameters.
    asked = {
        sql: params
        for sql, params in reversed(seen)
        if sql.startswith(verbs) and any(name in sql for name in TABLES)
    }
    assert asked, "the operation asked nothing of our tables"
    explain = {"postgresql": _postgresql, "mysql": _mariadb}[connection.vendor]
    return [scan for sql, params in asked.items() for scan in explain(sql, params)]


def _postgresql(sql: str, params: Any) -> Iterator[Scan]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        [[found]] = cursor.fetchall()
    plan = json.loads(found) if isinstance(found, str) else found

    def walk(node: dict[str, Any], limited: bool) -> Iterator[Scan]:
        kind, table = node["Node Type"], node.get("Relation Name")
        # A bitmap's condition stands in the node below.
        reads = "Scan" in kind and kind != "Bitmap Heap Scan" and "Index Cond" not in node
        if table in TABLES and reads:
            yield Scan(table, limited, sql)
        # Who sorts or counts reads to the end, whatever is wanted of it.
        limited = kind == "Limit" or (limited and kind not in {"Sort", "Aggregate", "Hash"})
        for child in node.get("Plans", ()):
            # A subquery may be read as a whole for the first row that asks for it.
            apart = child.get("Parent Relationship") in {"SubPlan", "InitPlan"}
            yield from walk(child, limited and not apart)

    yield from walk(plan[0]["Plan"], limited=False)


def _mariadb(sql: str, params: Any) -> Iterator[Scan]:
    aliases = dict(re.findall(r"`(\w+)` (U\d+)\b", sql))
    tables = {alias: table for table, alias in aliases.items()}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", params)
        names = [column[0] for column in cursor.description]
        plan = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for line in plan:
        table = tables.get(line["table"], line["table"])
        if table in TABLES and line["type"] in {"ALL", "index"}:
            yield Scan(table, line["type"] == "index" or "LIMIT" in sql, f"{plan} {sql}")


def reads_to_the_end(operation: Callable[[], Any]) -> list[Scan]:
    return [scan for scan in scans(operation) if not scan.limited]
