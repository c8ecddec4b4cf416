"""How the admin's lists find and count rows: filters, search, pages.

Nothing here reads a whole table, which may have millions of rows.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db import connections, router
from django.db.models import Func, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..conf import get_config
from ..devices.clients import BROWSERS, SYSTEMS, normal_ip, stored_ip
from ..devices.networks import network
from ..exceptions import BadToken
from ..models.addresses import in_network
from ..models.tables import SessionEvent
from ..tokens.sid import sid_from_uuid, uuid_from_sid
from .people import users_like, users_named

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    _Choices = tuple[tuple[str, str | StrPromise], ...]
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

ADMIN_CSS = {"all": ["jwtsession/admin.css"]}
_MAX_STAFF_FOUND = 1000
_MAX_STAFF_LISTED = 10_000
_MAX_VALUES = 1000
_JUMP = """WITH RECURSIVE jump(value, number) AS (
    SELECT MIN({column}), 1 FROM {table}
    UNION ALL
    SELECT (SELECT MIN({column}) FROM {table} WHERE {column} > jump.value), number + 1
    FROM jump WHERE jump.value IS NOT NULL AND number <= {most}
)
SELECT value FROM jump WHERE value IS NOT NULL"""


class WithoutIndex(Func):
    """A column whose index is not to be used: SQLite would find the rows by it, and sort them all.

    Elsewhere it is the column: PostgreSQL and MariaDB know how many rows each index finds.
    """

    arity = 1
    template = "%(expressions)s"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="+%(expressions)s", **context)


class AtLeast(int):
    """A number that is written "10000+": there are more."""

    def __str__(self) -> str:
        # Django groups digits by text, and would count the "+" among them.
        return int.__str__(self) if settings.USE_THOUSAND_SEPARATOR else f"{int(self)}+"


class CappedPaginator(_Paginator):
    """Counts up to `cap` rows and pages through those: an exact count reads the whole table."""

    cap = 10_000

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list
        if connections[rows.db].vendor != "postgresql":
            rows = rows.order_by()
        # PostgreSQL would begin with the oldest rows of the table, and may have to pass over
        # millions; in the order of the pages it takes their index.
        return int(rows[: self.cap + 1].count())

    @cached_property
    def count(self) -> int:
        return AtLeast(self.cap) if self.capped else self._found

    def page(self, number: Any) -> Any:
        """Return the page. MariaDB would look at each row that it skips: it gets keys to skip."""
        page: Any = super().page(number)
        rows: Any = self.object_list
        if page.number > 1 and connections[rows.db].vendor == "mysql":
            keys = list(page.object_list.values_list("pk", flat=True))
            page.object_list = rows.filter(pk__in=keys)
        return page

    @property
    def capped(self) -> bool:
        """Tell whether there are more rows than are counted."""
        return self._found > self.cap


class _Filter(admin.SimpleListFilter):
    """A filter with fixed choices."""

    choices_offered: _Choices = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return self.choices_offered

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        known = value in {choice for choice, _ in self.choices_offered}
        return self.narrow(queryset, value) if value is not None and known else queryset

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        raise NotImplementedError


class LastSeenFilter(_Filter):
    title = pgettext_lazy("filter", "last seen")
    parameter_name = "seen"
    choices_offered = (
        ("1", _("in the last hour")),
        ("24", _("in the last day")),
        ("168", _("in the last week")),
    )

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        since = timezone.now() - timedelta(hours=int(value))
        return queryset.filter(last_seen_at__gte=since)


class WhenFilter(_Filter):
    """Of events: how long ago they happened."""

    title = _("when")
    parameter_name = "when"
    choices_offered = LastSeenFilter.choices_offered

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        since = timezone.now() - timedelta(hours=int(value))
        return queryset.filter(created_at__gte=since)


class UserFilter(_Filter):
    """By the kind of user, where the user model knows `is_staff`."""

    title = pgettext_lazy("sessions", "user")
    parameter_name = "user_is"
    choices_offered = (
        ("staff", _("staff")),
        ("other", _("not staff")),
        ("nobody", _("not signed in")),
    )

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        try:
            get_user_model()._meta.get_field("is_staff")
        except FieldDoesNotExist:
            return self.choices_offered[2:]
        return self.choices_offered

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        if value == "nobody":
            return queryset.filter(user_id=None)
        staff = Q(user_id__in=_staff(queryset.db))
        return queryset.filter(staff if value == "staff" else ~staff, user_id__isnull=False)


def _staff(using: str) -> Any:
    """Return the pks of staff: a list, found once a page; many a subquery, if in that database.

    If the users live in another database, more than `_MAX_STAFF_LISTED` of them are not told apart.
    """
    users = get_user_model()
    pks = users._default_manager.filter(is_staff=True).values_list("pk", flat=True)
    found = list(pks[: _MAX_STAFF_FOUND + 1])
    if len(found) <= _MAX_STAFF_FOUND:
        return found
    if router.db_for_write(users) == using:
        return pks.using(using)
    return list(pks.order_by("pk")[:_MAX_STAFF_LISTED])


class BrowserFilter(_Filter):
    title = _("browser")
    parameter_name = "browser"
    choices_offered = tuple((name, name) for name in BROWSERS)

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        names = values_in_use(queryset, "browser")
        if names is None:
            return queryset.filter(Q(browser=value) | Q(browser__startswith=f"{value} "))
        return queryset.filter(browser__in=[name for name in names if _is_version(name, value)])


def _is_version(name: str, browser: str) -> bool:
    """Tell whether "Firefox 149" is a "Firefox"; as a database that ignores case would."""
    return f"{name} ".casefold().startswith(f"{browser} ".casefold())


class SystemFilter(_Filter):
    title = _("operating system")
    parameter_name = "os"
    choices_offered = tuple((name, name) for name in SYSTEMS)

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(os=value)


class KindFilter(_Filter):
    title = _("device")
    parameter_name = "device"
    choices_offered = (
        ("desktop", _("computer")),
        ("phone", _("phone")),
        ("tablet", _("tablet")),
        ("tool", _("program")),
        ("bot", _("crawler")),
    )

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(device=value)


def values_in_use(rows: QuerySet[Any], name: str) -> list[str] | None:
    """Return the different values of a column, read from the index that begins with it.

    The database jumps from each to the next, where DISTINCT would read all rows. None where there
    is no such index, or more values than `_MAX_VALUES`.
    """
    indexes, vendor = rows.model._meta.indexes, connections[rows.db].vendor
    if not any(index.fields[:1] == [name] for index in indexes):
        return None
    if vendor == "mysql":  # jumps for DISTINCT, and for nothing else
        every = rows.model._base_manager.using(rows.db).order_by().values_list(name, flat=True)
        found = list(every.distinct()[: _MAX_VALUES + 1])
    elif vendor in {"postgresql", "sqlite"}:
        found = _jump(rows, name)
    else:
        return None
    return found if len(found) <= _MAX_VALUES else None


def _jump(rows: QuerySet[Any], name: str) -> list[str]:
    connection, opts = connections[rows.db], rows.model._meta
    table = connection.ops.quote_name(opts.db_table)
    column = connection.ops.quote_name(opts.get_field(name).column)
    with connection.cursor() as cursor:
        cursor.execute(_JUMP.format(table=table, column=column, most=_MAX_VALUES))
        return [value for (value,) in cursor.fetchall()]


def matches(term: str, rows: QuerySet[Any]) -> Q:
    """Return what finds rows by user, address or its beginning, session id in both its spellings.

    Arguments: `rows` are sessions, or events of the history.
    """
    pk, address = _pk_of(term), normal_ip(term)
    part_of_address = None if address or pk else network(term)
    # What is an id or an address may be all of a name, but no part of one: names have an index.
    is_name = not (pk or address or part_of_address)
    found = Q(user_id__in=users_like(term) if is_name else users_named(term))
    if pk:
        found |= Q(sid=sid_from_uuid(pk)) if rows.model is SessionEvent else Q(pk=pk)
    if address:
        found |= Q(ip_address__in={address, stored_ip(address, get_config())} - {None})
    if part_of_address:
        found |= in_network(part_of_address, rows.db)
    return found


def _pk_of(term: str) -> UUID | None:
    """Return the row's id for a sid as tokens or as tables write it."""
    try:
        pk = uuid_from_sid(term) if len(term) == 22 else UUID(term)
    except (BadToken, ValueError):
        return None
    return pk if pk.version == 4 else None  # a name of 22 letters
