"""The history in Django's admin: what happened to sessions, read only, for all engines."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .admin_lists import (
    BrowserFilter,
    CappedPaginator,
    KindFilter,
    SystemFilter,
    UserFilter,
    WhenFilter,
    matches,
)
from .conf import get_config
from .listing import ENDS
from .models import SessionEvent
from .revocation import revoke_session

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

_CSV_COLUMNS = (
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
)


class SessionEventAdmin(_ModelAdmin):
    """Logins, logouts, failed logins, and what ended sessions. Nothing is added or changed here.

    A login line ends its session; that takes the `revoke` or `delete` permission of Session.
    """

    list_display = ("created_at", "kind", "user_name", "device_name", "ip_address", "actor_name")
    list_filter = (WhenFilter, "kind", UserFilter, BrowserFilter, SystemFilter, KindFilter)
    ordering = ("-created_at", "-pk")
    sortable_by = ("created_at",)
    search_fields = ("user",)  # shows the box; see get_search_results()
    search_help_text = _("User name, e-mail, IP address or session id")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    paginator = CappedPaginator
    fields = (
        "created_at",
        "kind",
        "user_name",
        "actor_name",
        "device_name",
        "user_agent",
        "ip_address",
        "sid",
    )
    readonly_fields = fields
    actions = ("export_csv",)
    change_list_template = "jwtsession/admin/change_list.html"
    change_form_template = "jwtsession/admin/event_form.html"

    # --- who may -----------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes events; with a user goes their history, whoever may delete the user."""
        match = request.resolver_match
        page = (match.url_name or "") if match is not None else ""
        return page.endswith(("_delete", "_changelist")) and not page.startswith(self._name(""))

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {**super().get_model_perms(request), "delete": False}

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may end sessions."""
        label = self.opts.app_label
        return any(
            request.user.has_perm(f"{label}.{verb}_session") for verb in ("revoke", "delete")
        )

    # --- the list ----------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the events, each with `has_ended`: whether its session is known to have."""
        events: Any = super().get_queryset(request)
        ends = SessionEvent.objects.filter(sid=OuterRef("sid"), kind__in=ENDS)
        found: QuerySet[Any] = events.annotate(has_ended=Exists(ends))
        return found.prefetch_related("user", "actor")

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return (*columns, "end_link") if self.has_revoke_permission(request) else columns

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find events by user name, e-mail, IP address, or session id in both its spellings."""
        term = search_term.strip()
        return (queryset.filter(matches(term, events=True)) if term else queryset), False

    @admin.display(description=_("user"))
    def user_name(self, event: Any) -> str:
        return _person(event.user, event.user_id)

    @admin.display(description=_("by"))
    def actor_name(self, event: Any) -> str:
        return _person(event.actor, event.actor_id)

    @admin.display(description=_("device"))
    def device_name(self, event: Any) -> str:
        return str(event.device_words) if event.user_agent or event.browser or event.os else ""

    @admin.display(description="")
    def end_link(self, event: Any) -> str:
        if not _may_be_alive(event):
            return ""
        url = reverse(f"{self.admin_site.name}:{self._name('end')}", args=[event.pk])
        label = gettext("End session: %(device)s") % {"device": event.device_words}
        text = gettext("End this session")
        return format_html('<a href="{}" aria-label="{}">{}</a>', url, label, text)

    # --- ending ------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.end_view)
        return [path("<path:object_id>/end/", view, name=self._name("end")), *super().get_urls()]

    def end_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """End the session of a login line, with a page to confirm it."""
        if not (self.has_revoke_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        event = self.get_object(request, unquote(object_id))
        if event is None or not _may_be_alive(event):
            text = gettext("That session has ended already.")
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(self._list_url())
        own = event.sid == getattr(request.session, "sid", None)
        if request.method != "POST":
            return self._confirm(request, event, own)
        revoke_session(event.sid, by=request.user, reason="admin")
        self.message_user(request, gettext("The session was ended."), messages.SUCCESS)
        if own:
            logout(request)  # or this very request would go on with a session that is gone
        return HttpResponseRedirect(self._list_url())

    def _confirm(self, request: HttpRequest, event: Any, own: bool) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("End this session?"),
            "opts": self.opts,
            "owners": [(self.user_name(event), 1)],
            "own_alone": own,
            "list_url": self._list_url(),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "jwtsession/admin/end_sessions.html", context)

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def _list_url(self) -> str:
        return reverse(f"{self.admin_site.name}:{self._name('changelist')}")

    # --- export ------------------------------------------------------------------------------

    @admin.action(description=_("Export selected events as CSV"), permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Any]) -> StreamingHttpResponse:
        """Send the selected events as they are read, however many there are."""
        return StreamingHttpResponse(
            _csv_lines(queryset),
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


def _csv_lines(queryset: QuerySet[Any]) -> Iterator[str]:
    writer: Any = csv.writer(_Echo())
    yield writer.writerow(_CSV_COLUMNS)
    for event in queryset.iterator(chunk_size=1000):
        row = (
            event.created_at.isoformat(),
            event.kind,
            event.user_id,
            event.user or "",
            event.actor or "",
            event.sid,
            event.ip_address or "",
            event.browser,
            event.os,
            event.device,
            event.user_agent,
        )
        yield writer.writerow([_cell(value) for value in row])


def _cell(value: Any) -> str:
    """Return a value as text that no spreadsheet takes for a formula: anybody can send one."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _person(user: Any, user_id: Any) -> str:
    if user is not None:
        return str(user)
    return "" if user_id is None else gettext("deleted user %(id)s") % {"id": user_id}


def _may_be_alive(event: Any) -> bool:
    """Tell whether an event is a login whose session is not known to have ended."""
    oldest = timezone.now() - timedelta(seconds=get_config().absolute_age)
    is_login = event.kind == SessionEvent.Kind.LOGIN and event.sid
    return bool(is_login and not event.has_ended and event.created_at > oldest)


admin.site.register(SessionEvent, SessionEventAdmin)
