"""What a database says of how it finds the rows of a statement."""

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
    verbs = ("SELECT", "UPDATE", "DELETE", "WITH")
    # The first of those that differ in nothing but their parameters.
    asked = {
        sql: params
        for sql, params in reversed(seen)
        if sql.startswith(verbs) and any(name in sql for name in TABLES)
    }
    assert asked, "the operation asked nothing of our tables"
    vendors = {"postgresql": _postgresql, "mysql": _mariadb, "sqlite": _sqlite}
    explain = vendors[connection.vendor]
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
    tables = _aliases(sql)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", params)
        names = [column[0] for column in cursor.description]
        plan = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for line in plan:
        table = tables.get(line["table"], line["table"])
        if table in TABLES and line["type"] in {"ALL", "index"}:
            stops = line["type"] == "index" or "LIMIT" in sql
            yield Scan(table, stops and "filesort" not in line["Extra"], f"{plan} {sql}")


def _sqlite(sql: str, params: Any) -> Iterator[Scan]:
    tables = _aliases(sql)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        plan = [row[3] for row in cursor.fetchall()]
    sorts = any("TEMP B-TREE FOR ORDER BY" in line for line in plan)
    for line in plan:
        verb, name, how = [*line.split(" ", 2), "", ""][:3]
        table = tables.get(name, name)
        # What is found by a range alone may be most of the table: fine in its order, not sorted.
        if table in TABLES and (verb == "SCAN" or (verb == "SEARCH" and sorts and "=" not in how)):
            yield Scan(table, "LIMIT" in sql and not sorts, f"{plan} {sql}")


def _aliases(sql: str) -> dict[str, str]:
    """Return the tables of a statement's subqueries by their aliases, as Django writes them."""
    found = re.findall(r"[`\"](\w+)[`\"] (U\d+)\b", sql)
    return {alias: table for table, alias in found}


def reads_to_the_end(operation: Callable[[], Any]) -> list[Scan]:
    return [scan for scan in scans(operation) if not scan.limited]
