"""Sessions in Django's admin: one line for each device, and ending them.

A project with a session model of its own registers it with a subclass of SessionAdmin.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.lookups import GreaterThan
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models.tables import Session
from ..models.times import to_datetime
from ..pages.listing import engine_model
from ..pages.phrases import ago, ahead
from .dates import DrillDownList
from .ending import EndingMixin, end_user_url, is_of_what_is_deleted, own_pk
from .events import SessionEventAdmin
from .lists import (
    ADMIN_CSS,
    BrowserFilter,
    CappedPaginator,
    KindFilter,
    LastSeenFilter,
    SystemFilter,
    UserFilter,
    WithoutIndex,
    matches,
)
from .stepup import FreshLoginAdminMixin

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

__all__ = ("FreshLoginAdminMixin", "SessionAdmin", "SessionEventAdmin", "SessionsLinkMixin")


class SessionList(DrillDownList):
    """The list, whose rows are found and counted by the index of when they were last seen."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Add a condition that is true of all rows, the last: SQLite takes the first that fits."""
        rows = super().get_queryset(request, *args, **kwargs)
        return rows.filter(last_seen_at__gt=to_datetime(0))


class SessionAdmin(EndingMixin):
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
    search_fields = ("user",)  # shows the box; see get_search_results()
    search_help_text = _("User name, e-mail, IP address or session id")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    paginator = CappedPaginator
    fields = (
        "user_name",
        "device_name",
        "user_agent",
        "ip_address",
        "created_at",
        "authenticated_at",
        "last_seen_at",
        "expires_at",
        "session_id",
    )
    readonly_fields = fields
    actions = ("end_sessions",)
    change_list_template = "jwtsession/admin/change_list.html"
    change_form_template = "jwtsession/admin/change_form.html"

    class Media:
        css = ADMIN_CSS

    # --- who may -----------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for ending; with a user go their sessions, whoever may delete the user."""
        may = self.has_revoke_permission(request, obj)
        return may or is_of_what_is_deleted(request, self.model)

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        may = self.has_revoke_permission(request)
        return {**super().get_model_perms(request), "delete": may}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Refuse to filter by the data: who may try values finds out what it is."""
        hidden = lookup.partition("__")[0] == "data"
        return not hidden and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        session = self.get_object(request, unquote(object_id))
        user_id = None if session is None else session.user_id
        context = {"end_user_url": end_user_url(request, self.admin_site.name, user_id)}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    # --- the list ----------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the sessions in force, each with `is_own` and, in one query more, its user."""
        own = ExpressionWrapper(Q(pk=own_pk(request)), output_field=BooleanField())
        rows: QuerySet[Any] = super().get_queryset(request)
        rows = rows.annotate(is_own=own)
        rows = rows.filter(GreaterThan(WithoutIndex("expires_at"), timezone.now()))
        rows = rows.prefetch_related("user")  # a join would need one database for both
        lean: QuerySet[Any] = rows.defer("data")
        return lean

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return SessionList

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return (*columns, "end_link") if self.has_revoke_permission(request) else columns

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find sessions by user name, e-mail, IP address, or session id in both its spellings."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(matches(term)), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "engine_keeps_others": engine_model() is not self.model,
            "end_user_url": end_user_url(
                request, self.admin_site.name, request.GET.get("user__exact")
            ),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.display(description=_("user"))
    def user_name(self, session: Any) -> str:
        if session.user is not None:
            return str(session.user)
        if session.user_id is not None:
            return gettext("deleted user %(id)s") % {"id": session.user_id}
        return gettext("not signed in")

    @admin.display(description=_("device"))
    def device_name(self, session: Any) -> str:
        if not session.is_own:
            return str(session.device_words)
        return format_html("{} <b>({})</b>", session.device_words, gettext("this session"))

    @admin.display(description=_("signed in"))
    def signed_in(self, session: Any) -> str:
        at = session.authenticated_at
        return "" if at is None else _moment(at, ago(at))

    @admin.display(description=_("last seen"), ordering="last_seen_at")
    def last_seen(self, session: Any) -> str:
        at = session.last_seen_at
        return _moment(at, ago(at))

    @admin.display(description=_("expires"))
    def expires(self, session: Any) -> str:
        at = session.expires_at
        return _moment(at, ahead(at))

    @admin.display(description=_("session id"))
    def session_id(self, session: Any) -> str:
        return str(session.sid)

    @admin.display(description=_("End session"))
    def end_link(self, session: Any) -> str:
        return format_html(
            '<a href="{}" aria-label="{}">{}</a>',
            reverse(self._url_name("delete"), args=[session.pk]),
            gettext("End session: %(device)s") % {"device": session.device_words},
            gettext("End session"),
        )


class SessionsLinkMixin(_ModelAdmin):
    """For the ModelAdmin of a project's own user model: links to the user's sessions and history.

    Django's own UserAdmin on Django's own User has them without it.
    """

    change_form_template = "jwtsession/admin/user_change_form.html"


def _moment(at: datetime, words: str) -> str:
    """Return "2 hours ago", with the date and time for those who point at it."""
    local = timezone.localtime(at) if timezone.is_aware(at) else at
    exact = date_format(local, "DATETIME_FORMAT")
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, words)


def _has_own_model() -> bool:
    """Tell whether the engine works on a subclass of AbstractSession that the project wrote."""
    try:
        model = engine_model()
    except ImportError:  # the checks say so
        return False
    return model is not None and model is not Session


if not _has_own_model():
    admin.site.register(Session, SessionAdmin)
