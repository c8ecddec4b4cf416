"""Sessions in Django's admin: one line for each device, and ending them.

A project with a session model of its own registers it with a subclass of SessionAdmin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.lookups import GreaterThan
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from ..models.tables import Session
from ..models.times import to_datetime
from ..pages.listing import bound_among, engine_model
from ..pages.phrases import ago, ahead
from .base import PeopleList, ReadOnlyAdmin
from .ending import may_end, own_pk
from .events import SessionEventAdmin
from .lists import (
    BrowserFilter,
    KindFilter,
    LastSeenFilter,
    SystemFilter,
    UserFilter,
    WithoutIndex,
)
from .moments import exactly, moment
from .stepup import FreshLoginAdminMixin
from .where import EndingWhereMixin

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

__all__ = ("FreshLoginAdminMixin", "SessionAdmin", "SessionEventAdmin", "SessionsLinkMixin")


_BOUND = pgettext_lazy(
    "sessions",
    "The device proves every few minutes that it has a key that cannot be copied, as a cookie can.",
)


class SessionList(PeopleList):
    """The list, whose rows are found and counted by the index of when they were last seen."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Add a condition that is true of all rows, the last: SQLite takes the first that fits."""
        rows = super().get_queryset(request, *args, **kwargs)
        return rows.filter(last_seen_at__gt=to_datetime(0))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        mark_bound(self.result_list)


def mark_bound(rows: Iterable[Any]) -> None:
    """Note on each session whether it is bound to a key in its device, by one query for all."""
    rows = list(rows)
    bound = bound_among([row.sid for row in rows])
    for row in rows:
        row.is_bound = row.sid in bound


class SessionAdmin(EndingWhereMixin, ReadOnlyAdmin):
    """The sessions that can be used now. Nothing is added or changed here, and no data is shown.

    Ending takes the model's `delete` or `revoke` permission. Works on any AbstractSession, and
    where users live in another database: nothing joins the two tables.
    """

    list_display = (
        "user_name",
        "device_name",
        "ip_address",
        "signed_in",
        "last_seen",
        "expires",
    )
    list_filter = (
        LastSeenFilter,
        UserFilter,
        BrowserFilter,
        SystemFilter,
        KindFilter,
    )
    # Only by what has an index, and as that goes on; see DrillDownList.get_ordering().
    ordering = ("-last_seen_at", "-expires_at", "-pk")
    sortable_by = ("last_seen",)
    date_hierarchy = "last_seen_at"
    fields = (
        "user_link",
        "device_name",
        "user_agent",
        "ip_address",
        "began",
        "signed_in_at",
        "seen_at",
        "expires_on",
        "bound_to",
        "session_id",
    )
    readonly_fields = fields
    actions = ("end_sessions",)

    # --- who may -----------------------------------------------------------------------------

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_end(request, self.model)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for ending; with a user go their sessions, whoever may delete the user."""
        may = self.has_revoke_permission(request, obj)
        return may or super().has_delete_permission(request, obj)

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        may = self.has_revoke_permission(request)
        return {**super().get_model_perms(request), "delete": may}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Refuse to filter by the data: who may try values finds out what it is."""
        hidden = lookup.partition("__")[0] == "data"
        return not hidden and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    # --- the list ----------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the sessions in force, each with `is_own`."""
        own = ExpressionWrapper(Q(pk=own_pk(request)), output_field=BooleanField())
        rows: QuerySet[Any] = super().get_queryset(request)
        rows = rows.annotate(is_own=own)
        rows = rows.filter(GreaterThan(WithoutIndex("expires_at"), timezone.now()))
        lean: QuerySet[Any] = rows.defer("data")
        return lean

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return SessionList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "engine_keeps_others": engine_model() is not self.model,
            "end_where_url": self._end_where_url(request),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.display(description=pgettext_lazy("sessions", "user"))
    def user_name(self, session: Any) -> str:
        return super().user_name(session) or gettext("not signed in")

    @admin.display(description=_("device"))
    def device_name(self, session: Any) -> str:
        words = str(session.device_words)
        if session.is_own:
            words = format_html("{} <b>({})</b>", words, gettext("this session"))
        if not getattr(session, "is_bound", False):
            return words
        badge = '{} <span class="jwtsession-badge" title="{}">{}</span>'
        return format_html(badge, words, _BOUND, pgettext("sessions", "Bound to this device"))

    @admin.display(description=_("bound to the device"))
    def bound_to(self, session: Any) -> str:
        return str(_BOUND)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        session = super().get_object(request, object_id, from_field)
        mark_bound([] if session is None else [session])
        return session

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Say what being bound means where the session is."""
        names = super().get_fields(request, obj)
        return [name for name in names if name != "bound_to" or getattr(obj, "is_bound", False)]

    @admin.display(description=_("signed in"))
    def signed_in(self, session: Any) -> str:
        at = session.authenticated_at
        return "" if at is None else moment(at, ago(at))

    @admin.display(description=_("last seen"), ordering="last_seen_at")
    def last_seen(self, session: Any) -> str:
        return moment(session.last_seen_at, ago(session.last_seen_at))

    @admin.display(description=_("expires"))
    def expires(self, session: Any) -> str:
        return moment(session.expires_at, ahead(session.expires_at))

    @admin.display(description=_("created"))
    def began(self, session: Any) -> str:
        return moment(session.created_at)

    @admin.display(description=_("signed in"), empty_value="-")
    def signed_in_at(self, session: Any) -> str:
        return moment(session.authenticated_at)

    @admin.display(description=_("last seen"))
    def seen_at(self, session: Any) -> str:
        return moment(session.last_seen_at)

    @admin.display(description=_("expires"))
    def expires_on(self, session: Any) -> str:
        return moment(session.expires_at)

    @admin.display(description=_("session id"))
    def session_id(self, session: Any) -> str:
        return str(session.sid)

    def row_label(self, session: Any) -> str:
        what = (self.user_name(session), session.device_words, session.ip_address)
        at = session.authenticated_at or session.created_at
        return ", ".join(filter(None, (*what, exactly(at))))

    @admin.display(description=pgettext_lazy("sessions", "session"))
    def end_link(self, session: Any) -> str:
        return self.end_button(self.end_url(session), session)

    def _end_where_url(self, request: HttpRequest) -> str:
        if not self.has_revoke_permission(request):
            return ""
        query = request.GET.urlencode()
        return reverse(self._url_name("end_where")) + (f"?{query}" if query else "")

    def end_url(self, session: Any) -> str:
        return reverse(self._url_name("delete"), args=[session.pk])


class SessionsLinkMixin(_ModelAdmin):
    """For the ModelAdmin of a project's own user model: links to the user's sessions and history.

    Django's own UserAdmin on Django's own User has them without it.
    """

    change_form_template = "jwtsession/admin/user_change_form.html"


def _has_own_model() -> bool:
    """Tell whether the engine works on a subclass of AbstractSession that the project wrote."""
    try:
        model = engine_model()
    except ImportError:  # the checks say so
        return False
    return model is not None and model is not Session


if not _has_own_model():
    admin.site.register(Session, SessionAdmin)
