"""Sessions in Django's admin: one line for each device, and ending them.

A project with a session model of its own registers it with a subclass of SessionAdmin.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename, get_user_model, logout
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, Count, ExpressionWrapper, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .admin_history import SessionEventAdmin
from .admin_lists import (
    BrowserFilter,
    CappedPaginator,
    KindFilter,
    LastSeenFilter,
    SystemFilter,
    UserFilter,
    matches,
)
from .models import AbstractSession, Session
from .sids import uuid_from_sid

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

__all__ = ("SessionAdmin", "SessionEventAdmin", "SessionsLinkMixin")

_MAX_USERS_NAMED = 10


class SessionAdmin(_ModelAdmin):
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
    # Only by what has an index. The second key is the one that MariaDB's index ends with, too.
    ordering = ("-last_seen_at", "pk")
    sortable_by = ("last_seen",)
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

    # --- who may -----------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_revoke_permission(request, obj)

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether the user may end sessions; what `permissions=["revoke"]` asks of actions."""
        codenames = (get_permission_codename(name, self.opts) for name in ("delete", "revoke"))
        return any(request.user.has_perm(f"{self.opts.app_label}.{name}") for name in codenames)

    # --- the list ----------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the sessions in force, each with `is_own` and, in one query more, its user."""
        own = ExpressionWrapper(Q(pk=_own_pk(request)), output_field=BooleanField())
        rows: QuerySet[Any] = super().get_queryset(request)
        rows = rows.annotate(is_own=own).filter(expires_at__gt=timezone.now())
        rows = rows.prefetch_related("user")  # a join would need one database for both
        lean: QuerySet[Any] = rows.defer("data")
        return lean

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
        context = {"engine_keeps_others": _engine_model() is not self.model}
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
        return "" if at is None else _moment(at, gettext("%(time)s ago"), timesince(at, depth=1))

    @admin.display(description=_("last seen"), ordering="last_seen_at")
    def last_seen(self, session: Any) -> str:
        at = session.last_seen_at
        if timezone.now() - at < timedelta(minutes=1):
            return gettext("just now")
        return _moment(at, gettext("%(time)s ago"), timesince(at, depth=1))

    @admin.display(description=_("expires"))
    def expires(self, session: Any) -> str:
        at = session.expires_at
        return _moment(at, gettext("in %(time)s"), timeuntil(at, depth=1))

    @admin.display(description=_("session id"))
    def session_id(self, session: Any) -> str:
        return str(session.sid)

    @admin.display(description="")
    def end_link(self, session: Any) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_delete"
        return format_html(
            '<a href="{}" aria-label="{}">{}</a>',
            reverse(name, args=[session.pk]),
            gettext("End session: %(device)s") % {"device": session.device_words},
            gettext("End"),
        )

    # --- ending ------------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Leave out Django's delete_selected: it would list each session there is to delete."""
        # The second argument is new in Django 6.1.
        where = {} if action_location is None else {"action_location": action_location}
        actions: dict[str, Any] = super().get_actions(request, **where)
        return {name: action for name, action in actions.items() if name != "delete_selected"}

    @admin.action(description=_("End selected sessions"), permissions=["revoke"])
    def end_sessions(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponseBase | None:
        """End the selected sessions once that is confirmed; one's own only when asked for."""
        own = queryset.filter(pk=_own_pk(request)).exists()
        if not request.POST.get("confirmed"):
            return self._confirm(request, queryset, own)
        end_own = own and bool(request.POST.get("end_own"))
        if not end_own:
            queryset = queryset.exclude(pk=_own_pk(request))
        count = self.end(request, queryset)
        text = ngettext("%(count)d session was ended.", "%(count)d sessions were ended.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
        if end_own:
            logout(request)  # or this very request would go on with a session that is gone
        return None

    def end(self, request: HttpRequest, queryset: QuerySet[Any]) -> int:
        """End sessions for this staff member; return how many there were."""
        rows: Any = queryset
        return int(rows.revoke(by=request.user, reason="admin"))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """End one session, with the action's page to confirm it."""
        session = self.get_object(request, unquote(object_id))
        if not self.has_revoke_permission(request, session):
            raise PermissionDenied
        if session is None:
            # Ended meanwhile, by somebody else or by itself.
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        rows = self.get_queryset(request).filter(pk=session.pk)
        return self.end_sessions(request, rows) or HttpResponseRedirect(self._list_url())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.end(request, self.get_queryset(request).filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.end(request, queryset)

    def _confirm(
        self, request: HttpRequest, queryset: QuerySet[Any], own: bool
    ) -> TemplateResponse:
        """Ask, naming how many sessions and whose."""
        count = queryset.count()
        named = _owners(queryset)
        context = {
            **self.admin_site.each_context(request),
            "title": ngettext("End %(count)d session?", "End %(count)d sessions?", count)
            % {"count": count},
            "opts": self.opts,
            "owners": named,
            "others": count - sum(number for _, number in named),
            "own": own,
            "own_alone": own and count == 1,
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            # Django's list view takes no action without a selected row, even for all that match.
            "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
            "across": request.POST.get("select_across") == "1",
            "list_url": self._list_url(),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "jwtsession/admin/end_sessions.html", context)

    def _list_url(self) -> str:
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return reverse(f"{self.admin_site.name}:{name}")


class SessionsLinkMixin(_ModelAdmin):
    """For the ModelAdmin of a project's own user model: links to the user's sessions and history.

    Django's own UserAdmin on Django's own User has them without it.
    """

    change_form_template = "jwtsession/admin/user_change_form.html"


def _moment(at: datetime, phrase: str, distance: str) -> str:
    """Return "2 hours ago", with the date and time for those who point at it."""
    local = timezone.localtime(at) if timezone.is_aware(at) else at
    exact = date_format(local, "DATETIME_FORMAT")
    words = phrase % {"time": distance}
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), exact, words)


def _own_pk(request: HttpRequest) -> UUID | None:
    """Return the id of the session that this request is in, if its engine has one."""
    sid = getattr(request.session, "sid", None)
    return None if sid is None else uuid_from_sid(sid)


def _owners(queryset: QuerySet[Any]) -> list[tuple[str, int]]:
    """Return the users who have most of these sessions, with the number of theirs."""
    numbers = queryset.order_by().values_list("user_id").annotate(number=Count("pk"))
    most = list(numbers.order_by("-number", "user_id")[:_MAX_USERS_NAMED])
    users = get_user_model()._default_manager.in_bulk([pk for pk, _ in most if pk is not None])
    return [
        (gettext("not signed in") if pk is None else str(users.get(pk, pk)), number)
        for pk, number in most
    ]


def _engine_model() -> type[Model] | None:
    """Return the model of the engine in use, None where it has none."""
    store = getattr(import_module(settings.SESSION_ENGINE), "SessionStore", None)
    get_model_class = getattr(store, "get_model_class", None)
    return None if get_model_class is None else get_model_class()


def _has_own_model() -> bool:
    """Tell whether the engine works on a subclass of AbstractSession that the project wrote."""
    try:
        model = _engine_model()
    except ImportError:  # the checks say so
        return False
    return model is not None and model is not Session and issubclass(model, AbstractSession)


if not _has_own_model():
    admin.site.register(Session, SessionAdmin)
