"""What operations cost on small and on very large tables, in turns.

    python -m benchmarks.scale --rows 10000 10000000 \
        --database postgres://postgres@127.0.0.1:5432/jwtscale
    python -m benchmarks.scale --rows 10000 1000000 --database sqlite:////tmp/jwtscale

Makes the databases jwtscale_<rows>, which stay for the next run; --drop drops them. Sizes take
turns at each repetition, so the ratios are between neighbours in time, and --only runs part.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

ROUTER = "benchmarks.scale.Router"


class Router:
    """Everything goes to the database whose turn it is."""

    current = "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return Router.current

    db_for_write = db_for_read


def configure(urls: dict[str, str]) -> None:
    """Set Django up as tests.settings does, on these databases, by alias; outside of tests."""
    from tests import settings as site

    names = (name for name in dir(site) if name.isupper())
    values = {name: getattr(site, name) for name in names}
    databases = {alias: _database(url) for alias, url in urls.items()}
    databases.setdefault("default", next(iter(databases.values())))
    values |= {"DATABASES": databases, "DATABASE_ROUTERS": [ROUTER]}
    values["INSTALLED_APPS"] = [*values["INSTALLED_APPS"], "django.contrib.sessions"]
    settings.configure(**values)
    import django

    django.setup()
    import benchmarks.scale  # not __main__, whose Router nobody asks

    benchmarks.scale.Router.current = next(iter(urls))


def _database(url: str) -> dict[str, object]:
    from tests.settings import _database

    if url.startswith("sqlite:"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": urlsplit(url).path}
    return _database(url) | {"CONN_MAX_AGE": None}


def administer(url: str, statement: str) -> list[Any]:
    """Run a statement beside the databases that it makes and drops."""
    parts = urlsplit(url)
    place = {"host": parts.hostname, "port": parts.port, "user": parts.username}
    if parts.scheme == "mysql":
        import MySQLdb

        connection = MySQLdb.connect(**place, password=parts.password or "")
    else:
        import psycopg

        connection = psycopg.connect(
            **place, password=parts.password, dbname="postgres", autocommit=True
        )
    try:
        cursor = connection.cursor()
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def exists(url: str) -> bool:
    name = urlsplit(url).path
    if url.startswith("sqlite:"):
        return Path(name).exists()
    lists = {"mysql": "SELECT schema_name FROM information_schema.schemata"}
    statement = lists.get(urlsplit(url).scheme, "SELECT datname FROM pg_database")
    return (name.lstrip("/"),) in administer(url, statement)


def create(url: str) -> None:
    if not url.startswith("sqlite:"):
        administer(url, f"CREATE DATABASE {urlsplit(url).path.lstrip('/')}")


def make(url: str, alias: str, rows: int) -> None:
    """Make a database with `rows` sessions in the table, if it is not there."""
    from django.core.management import call_command
    from django.db import connections

    from benchmarks import bulk, scale

    scale.Router.current = alias
    create(url)
    call_command("migrate", database=alias, verbosity=0)
    began = time.monotonic()
    bulk.fill(connections[alias], rows)
    print(f"{rows} rows were made in {time.monotonic() - began:.0f} s", flush=True)


def drop(url: str) -> None:
    name = urlsplit(url).path
    if url.startswith("sqlite:"):
        Path(name).unlink(missing_ok=True)
    else:
        administer(url, f"DROP DATABASE IF EXISTS {name.lstrip('/')}")


class Times:
    """What the repetitions of an operation took on one database, in milliseconds."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.all: list[float] = []
        self.database: list[float] = []

    def measure(self, operation: Callable[[], Any]) -> None:
        from django.db import connections

        asked = 0.0

        def note(execute: Any, *arguments: Any) -> Any:
            nonlocal asked
            began = time.perf_counter()
            try:
                return execute(*arguments)
            finally:
                asked += time.perf_counter() - began

        with connections[self.alias].execute_wrapper(note):
            began = time.perf_counter()
            operation()
            took = time.perf_counter() - began
        self.all.append(took * 1e3)
        self.database.append(asked * 1e3)

    def p99(self) -> float:
        return sorted(self.all)[math.ceil(len(self.all) * 0.99) - 1]


def run(sizes: dict[str, int], options: argparse.Namespace) -> None:
    """Print a line for each operation as soon as it is known."""
    from benchmarks import scale
    from benchmarks.scale_operations import World

    worlds = {}
    for alias, rows in sizes.items():
        scale.Router.current = alias
        worlds[alias] = World(rows)
    head = "".join(f"{rows:>13} rows: all/p99/db" for rows in sizes.values())
    print(f"{'milliseconds':<40}{head}   ratio of all, db")
    for name in next(iter(worlds.values())).operations(options.only):
        found = {alias: Times(alias) for alias in sizes}
        began = time.monotonic()
        for number in range(options.repeat):
            for alias, world in worlds.items():
                scale.Router.current = alias
                prepared = world.prepare(name)
                found[alias].measure(prepared)
            if number >= 4 and time.monotonic() - began > options.seconds:
                break
        _print(name, list(found.values()))


def _print(name: str, found: list[Times]) -> None:
    cells = [(median(times.all), times.p99(), median(times.database)) for times in found]
    text = "".join(f"{all_:>16.1f} {p99:>8.1f} {asked:>8.1f}" for all_, p99, asked in cells)
    first, last = cells[0], cells[-1]
    print(f"{name:<40}{text}{last[0] / first[0]:>9.1f}{last[2] / first[2]:>7.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", default=["10000", "1000000"])
    parser.add_argument("--database", default="postgres://postgres@127.0.0.1:5432/jwtscale")
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20.0, help="for one operation, about")
    parser.add_argument("--only", default="", help="operations whose name contains this")
    parser.add_argument("--drop", action="store_true", help="drop the databases, do nothing else")
    options = parser.parse_args()
    urls = {f"rows{rows}": f"{options.database}_{rows}" for rows in options.rows}
    if options.drop:
        for url in urls.values():
            drop(url)
        return
    configure(urls)
    sizes = dict(zip(urls, map(int, options.rows), strict=True))
    for alias, url in urls.items():
        if not exists(url):
            make(url, alias, sizes[alias])
    run(sizes, options)


if __name__ == "__main__":
    main()
