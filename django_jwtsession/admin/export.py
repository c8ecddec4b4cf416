"""The history as CSV: sent as it is read, and nothing in it is a formula to a spreadsheet."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from .people import load_people

_AT_ONCE = 500
_COLUMNS = (
    "when",
    "what",
    "user_id",
    "user",
    "by",
    "session",
    "ip_address",
    "browser",
    "os",
    "device",
    "user_agent",
    "detail",
)
# What Excel and others begin a formula with, full-width forms among them: at the beginning of a
# cell, or behind what may separate two. They trim blanks before it.
_FORMULA = re.compile('((?:^|[;,|\t\r\n"])\\s*)(?=[=+\\-@＝＋－＠])')  # noqa: RUF001


def csv_response(request: HttpRequest, events: QuerySet[Any]) -> StreamingHttpResponse:
    """Return the events as a file of CSV that is written while they are read."""
    parts = _parts(events)
    return StreamingHttpResponse(
        _in_threads(parts) if isinstance(request, ASGIRequest) else parts,
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="session-history.csv"',
            "Cache-Control": "private, no-store",
        },
    )


class _Echo:
    """A file for the csv module that gives back each line."""

    def write(self, line: str) -> str:
        return line


def _parts(events: QuerySet[Any]) -> Iterator[str]:
    lines = _lines(events)
    while part := "".join(islice(lines, _AT_ONCE)):
        yield part


async def _in_threads(parts: Iterator[str]) -> AsyncIterator[str]:
    """Read in threads, or the server would hold all of the file in memory first."""
    while part := await sync_to_async(_next)(parts):
        yield part


def _next(parts: Iterator[str]) -> str:
    return next(parts, "")


def _lines(events: QuerySet[Any]) -> Iterator[str]:
    writer: Any = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield writer.writerow(_COLUMNS)
    for event in _with_people(events):
        row = (
            event.created_at.isoformat(),
            event.kind,
            event.user_id,
            event.user,
            event.actor,
            event.sid,
            event.ip_address,
            event.browser,
            event.os,
            event.device,
            event.user_agent,
            json.dumps(event.detail) if event.detail else "",
        )
        yield writer.writerow([_cell(value) for value in row])


def _with_people(events: QuerySet[Any]) -> Iterator[Any]:
    found = events.iterator(chunk_size=_AT_ONCE)
    while part := list(islice(found, _AT_ONCE)):
        load_people(part, ("user", "actor"))
        yield from part


def _cell(value: Any) -> str:
    """Return a value as text no part of which a spreadsheet takes for a formula.

    Whoever reads the file by another separator begins cells in the middle of ours, quoted or not
    (OWASP, "CSV Injection"): an apostrophe stands before what would be a formula there as well.
    """
    text = "" if value is None else str(value)
    return _FORMULA.sub(r"\1'", text)
