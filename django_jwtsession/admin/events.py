"""The history in Django's admin: what happened to sessions, read only, for all engines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from ..conf import get_config
from ..devices.clients import describe, words
from ..models.registry import session_model
from ..models.tables import SessionEvent
from ..pages.listing import ENDS, engine_model
from ..revocation.ending import revoke_session
from ..revocation.logins import Login, ended_of
from ..revocation.reasons import EndReason, in_words
from ..tokens.sid import sid_from_uuid, uuid_from_sid
from . import export as admin_export
from .base import PeopleList, ReadOnlyAdmin
from .ending import ask, ended_already, may_end, title_of, way_back
from .lists import BrowserFilter, KindFilter, SystemFilter, UserFilter, WhenFilter
from .moments import exactly, moment
from .people import name_of


class EventList(PeopleList):
    """Events, each with `may_be_alive`: whether it is the login of a session to be ended."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        mark_alive(self.result_list)


class SessionEventAdmin(ReadOnlyAdmin):
    """Logins, logouts, failed logins, and what ended sessions. Nothing is added or changed here.

    A login line ends its session; that takes the `revoke` or `delete` permission of the sessions'
    model, and a recent login (`max_login_age`, None: any).
    """

    fresh_login_actions = ()
    fresh_login_views = ("end_view",)

    people = ("user", "actor")
    list_display = ("when", "kind", "user_name", "device_name", "ip_address", "actor_name")
    list_filter = (WhenFilter, "kind", UserFilter, BrowserFilter, SystemFilter, KindFilter)
    ordering = ("-created_at", "-pk")
    sortable_by = ("when",)
    date_hierarchy = "created_at"
    fields = (
        "when",
        "kind",
        "user_link",
        "actor_name",
        "device_name",
        "user_agent",
        "ip_address",
        "sid",
        "reason",
        "login_device",
    )
    readonly_fields = fields
    actions = ("export_csv",)

    # --- who may -----------------------------------------------------------------------------

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {**super().get_model_perms(request), "delete": False}

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_end(request, session_model())

    # --- the list ----------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return EventList

    def ending_urls(self, request: HttpRequest, event: Any) -> dict[str, str]:
        mark_alive([event])
        return super().ending_urls(request, event)

    @admin.display(description=pgettext_lazy("sessions", "when"), ordering="created_at")
    def when(self, event: Any) -> str:
        return moment(event.created_at)

    @admin.display(description=_("by"))
    def actor_name(self, event: Any) -> str:
        return name_of(event.actor, event.actor_id)

    @admin.display(description=_("device"))
    def device_name(self, event: Any) -> str:
        return str(event.device_words) if event.user_agent or event.browser or event.os else ""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out what only some kinds of events have, where this one has it not."""
        has: dict[Any, Any] = {
            "reason": obj is not None and self.reason(obj),
            "login_device": obj is not None and obj.kind in SessionEvent.COPIED,
        }
        return [name for name in super().get_fields(request, obj) if has.get(name, True)]

    @admin.display(description=_("reason"))
    def reason(self, event: Any) -> str:
        """Why a session was ended; in the words of whoever called for it where they are no ours."""
        return in_words(event.detail.get("reason", ""))

    @admin.display(description=_("device of the session"))
    def login_device(self, event: Any) -> str:
        """Of a copied cookie: the session's device and address, beside those of the copy."""
        detail = event.detail
        device = describe(detail.get("user_agent") or "")
        parts = (words(device.browser, device.os), detail.get("ip_address"))
        return ", ".join(part for part in parts if part)

    def row_label(self, event: Any) -> str:
        what = (event.get_kind_display(), self.user_name(event), self.device_name(event))
        return ", ".join(filter(None, (*what, event.ip_address, exactly(event.created_at))))

    @admin.display(description=pgettext_lazy("sessions", "session"), empty_value="")
    def end_link(self, event: Any) -> str:
        return self.end_button(self.end_url(event), event) if event.may_be_alive else ""

    # --- ending ------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.end_view)
        return [path("<path:object_id>/end/", view, name=self._name("end")), *super().get_urls()]

    def end_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """End the session of a login line, with a page to confirm it."""
        if not (self.has_revoke_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        event = self.get_object(request, unquote(object_id))
        if event is None or event.sid not in _alive([event]):
            return ended_already(self, request)
        own = event.sid == getattr(request.session, "sid", None)
        if request.method != "POST":
            owners = [(self.user_name(event), None)]
            return ask(self, request, title_of([event]), event, owners=owners, own_alone=own)
        revoke_session(event.sid, by=request.user, reason=EndReason.ADMIN)
        self.message_user(request, gettext("The session was ended."), messages.SUCCESS)
        if own:
            logout(request)  # or this very request would go on with a session that is gone
        return way_back(self, request)

    def end_url(self, event: Any) -> str:
        """Return where its session is ended, "" for one that has ended; see mark_alive()."""
        if not event.may_be_alive:
            return ""
        return reverse(f"{self.admin_site.name}:{self._name('end')}", args=[event.pk])

    def _name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    # --- export ------------------------------------------------------------------------------

    @admin.action(description=_("Export selected events as CSV"), permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Any]) -> StreamingHttpResponse:
        """Send the selected events as they are read, however many there are."""
        return admin_export.csv_response(request, queryset)


def mark_alive(events: Iterable[Any]) -> None:
    """Note on each event whether it is the login of a session that may still be in use."""
    events = list(events)
    alive = _alive(events)
    for event in events:
        event.may_be_alive = event.kind in SessionEvent.BEGINS and event.sid in alive


def _alive(events: Iterable[Any]) -> set[str]:
    """Return the sids of the logins among some events whose sessions are not known to have ended.

    Two queries for all: an EXISTS in that of the list is slow where many failed logins have no sid.
    """
    oldest = timezone.now() - timedelta(seconds=get_config().absolute_age)
    events = [one for one in events if one.kind in SessionEvent.BEGINS]
    logins = {one.sid: one for one in events if one.sid and one.created_at > oldest}
    ends = (
        SessionEvent.objects.using(router.db_for_write(SessionEvent))
        .filter(sid__in=logins, kind__in=ENDS)
        .values_list("sid", flat=True)
    )
    alive = logins.keys() - set(ends)
    model = engine_model()
    if model is not None:  # a session also ends unsaid: by its age, or by another user's login
        rows = model.objects.filter(pk__in=map(uuid_from_sid, alive)).in_force()
        return set(map(sid_from_uuid, rows.values_list("pk", flat=True)))
    # Without rows, the end of all of a user's sessions names none of them.
    return alive - ended_of(
        Login(sid, str(logins[sid].user_id), logins[sid].created_at.timestamp()) for sid in alive
    )


admin.site.register(SessionEvent, SessionEventAdmin)
