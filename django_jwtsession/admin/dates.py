"""The years, months and days above the admin's lists: Django's `date_hierarchy`, for large tables.

Django asks which dates there are with DISTINCT, which reads all rows that match. Here the first and
the last are read through the index, and what lies between them is offered: a day may be empty, or
have only sessions that have expired and are not cleared yet.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db import DataError, connections
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import pgettext

from .lists import WithoutIndex

_PARTS = ("year", "month", "day")


class DrillDownList(ChangeList):
    """A list that takes only what the database can count with; Django's answers 500 to the rest."""

    def get_filters(self, request: HttpRequest) -> Any:
        year = self.params.get(f"{self.date_hierarchy}__year")
        if year is not None and not (year.isdecimal() and 1 < int(year[:9]) < 9999):
            raise IncorrectLookupParameters(year)
        return super().get_filters(request)

    def get_ordering(self, request: HttpRequest, queryset: Any) -> Any:
        """Order as the index goes, one way or the other: MariaDB sorts all rows for any other.

        Those without a user are ordered by that as well where PostgreSQL finds their index by it.
        """
        ordering: Any = super().get_ordering(request, queryset)
        down: Any = list(self.model_admin.ordering or ())
        for whole in (down, [str(name).removeprefix("-") for name in down]):
            if ordering[:1] == whole[:1]:
                ordering = whole
        of_nobody = self.params.get("user_is") == "nobody"
        if of_nobody and connections[queryset.db].vendor == "postgresql":
            ordering = ["-user_id" if str(ordering[0]).startswith("-") else "user_id", *ordering]
        return ordering

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except (DataError, OverflowError) as error:  # the id of a user beyond the column's range
            raise IncorrectLookupParameters(error) from error


def drill_down(cl: Any) -> dict[str, Any]:
    """Return the context of Django's template admin/date_hierarchy.html for a list of the admin."""
    name = cl.date_hierarchy
    values = _chosen(cl)
    level = len(values)
    found = None if level == 3 else _bounds(cl.queryset, name)
    if level == 0 and found is None:
        return {"show": False}

    def link(*values: int) -> str:
        names = (f"{name}__{part}" for part in _PARTS)
        query: str = cl.get_query_string(dict(zip(names, values, strict=False)), [f"{name}__"])
        return query

    back = None
    if level:
        back = {"link": link(*values[:-1]), "title": _title(values[:-1])}
    if level == 3:
        return {"show": True, "back": back, "choices": [{"title": _title(values)}]}
    choices = []
    if found is not None:
        first, last = found
        while level < 2 and first[level] == last[level] and back is None:
            values.append(first[level])  # all are of one year: its months are the choice
            level += 1
        choices = [
            {"link": link(*values, number), "title": _title([*values, number])}
            for number in range(first[level], last[level] + 1)
        ]
    return {"show": True, "back": back, "choices": choices}


def chosen_date(cl: Any) -> tuple[set[str], str]:
    """Return the parameters that narrow a list to a year, month or day, and that in words."""
    values = _chosen(cl)
    names = {f"{cl.date_hierarchy}__{part}" for part in _PARTS[: len(values)]}
    return names, date_format(date(*values)) if len(values) == 3 else _title(values)


def _chosen(cl: Any) -> list[int]:
    chosen = [cl.params.get(f"{cl.date_hierarchy}__{part}") for part in _PARTS]
    level = chosen.index(None) if None in chosen else 3
    return [int(value) for value in chosen[:level]]


def _bounds(rows: Any, name: str) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return year, month and day of the first and of the last row, None where there are none."""
    last = rows.order_by(f"-{name}").values_list(name, flat=True).first()
    if last is None:
        return None
    first = _expired_too(rows).order_by(name).values_list(name, flat=True).first()
    return _parts(first), _parts(last)


def _expired_too(rows: Any) -> Any:
    """Return the rows without their condition on the end: those that were seen first have expired.

    There may be millions of them where nobody clears, and the database would pass over each.
    """
    rows = rows.all()
    where = rows.query.where
    where.children = [one for one in where.children if not _is_on_the_end(one)]
    return rows


def _is_on_the_end(condition: Any) -> bool:
    return isinstance(getattr(condition, "lhs", None), WithoutIndex)


def _parts(at: datetime) -> tuple[int, ...]:
    local = timezone.localtime(at) if timezone.is_aware(at) else at
    return local.year, local.month, local.day


def _title(values: list[int]) -> str:
    if not values:
        return pgettext("sessions", "All dates")
    if len(values) == 1:
        return str(values[0])
    format_name = "MONTH_DAY_FORMAT" if len(values) == 3 else "YEAR_MONTH_FORMAT"
    return capfirst(date_format(date(*(*values, 1)[:3]), format_name))
