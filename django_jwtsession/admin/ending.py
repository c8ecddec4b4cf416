"""Ending sessions in the admin: one, the selected ones, all of a user's; each asks first."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename, get_user_model, logout
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..models.registry import session_model
from ..pages.listing import number_of
from ..revocation.ending import revoke_user_sessions
from ..revocation.reasons import EndReason
from ..tokens.sid import uuid_from_sid
from .stepup import FreshLoginAdminMixin

_MAX_USERS_NAMED = 10
# Where Django's own link to the main content leads: messages stand first there, then the list.
_CONTENT = "#content-start"
# More than one request can end before its server loses patience.
_MOST_AT_ONCE = 2000


class EndingMixin(FreshLoginAdminMixin):
    """The part of SessionAdmin that ends sessions; `max_login_age` (None: any) is for that."""

    fresh_login_actions = ("end_sessions",)
    fresh_login_views = ("delete_view", "end_user_view")

    # Whoever mixes this in says who may end; see base.ReadOnlyAdmin.
    has_revoke_permission: Any

    @admin.action(description=_("End selected sessions"), permissions=["revoke"])
    def end_sessions(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponseBase | None:
        """End the selected sessions once that is confirmed; one's own only when asked for."""
        if request.POST.get("select_across") == "1" and _are_many(queryset):
            query = request.GET.urlencode()
            return HttpResponseRedirect(f"{reverse(self._url_name('end_where'))}?{query}")
        own = queryset.filter(pk=own_pk(request)).exists()
        if not request.POST.get("confirmed"):
            return self._ask(request, queryset, own)
        end_own = own and bool(request.POST.get("end_own"))
        if not end_own:
            queryset = queryset.exclude(pk=own_pk(request))
        count = self.end(request, queryset)
        text = ngettext("%(count)d session was ended.", "%(count)d sessions were ended.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
        if end_own:
            logout(request)  # or this very request would go on with a session that is gone
        if helpers.ACTION_CHECKBOX_NAME in request.POST:
            return HttpResponseRedirect(f"{request.get_full_path()}{_CONTENT}")
        return None

    def end(self, request: HttpRequest, queryset: QuerySet[Any]) -> int:
        """End sessions for this staff member; return how many there were."""
        rows: Any = queryset
        return int(rows.revoke(by=request.user, reason=EndReason.ADMIN))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """End one session, with the action's page to confirm it."""
        session = self.get_object(request, unquote(object_id))
        if not self.has_revoke_permission(request, session):
            raise PermissionDenied
        if session is None:
            return ended_already(self, request)
        rows = self.get_queryset(request).filter(pk=session.pk)
        return self.end_sessions(request, rows) or way_back(self, request)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.end(request, self.get_queryset(request).filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.end(request, queryset)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Leave out Django's delete_selected: it would list each session there is to delete."""
        actions = super().get_actions(request, action_location)
        return {name: action for name, action in actions.items() if name != "delete_selected"}

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.end_user_view)
        name = self._url_name("end_user").partition(":")[2]
        return [path("user/<path:user_id>/end/", view, name=name), *super().get_urls()]

    def _url_name(self, page: str) -> str:
        return f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{page}"

    def end_user_view(self, request: HttpRequest, user_id: str) -> HttpResponseBase:
        """End all sessions of a user, whatever the engine, once that is confirmed."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        user = _find_user(user_id)
        if user is None:
            self.message_user(request, gettext("There is no such user."), messages.WARNING)
            return way_back(self, request)
        own_sid = getattr(request.session, "sid", None) if user.pk == request.user.pk else None
        if request.method != "POST":
            count = number_of(user)
            return ask(
                self,
                request,
                gettext("End all sessions of %(user)s?") % {"user": user},
                owners=[(user, count)],
                number=max(count, 2),  # more than are known may be out there
                own=own_sid is not None and count > 1,
                own_alone=own_sid is not None and count <= 1,
            )
        keep = None if request.POST.get("end_own") else own_sid
        revoke_user_sessions(user, keep=keep, by=request.user, reason=EndReason.ADMIN)
        text = (
            gettext("All sessions of %(user)s were ended, except this one.")
            if keep
            else gettext("All sessions of %(user)s were ended.")
        )
        self.message_user(request, text % {"user": user}, messages.SUCCESS)
        if own_sid and not keep:
            logout(request)
        return way_back(self, request)

    def _ask(self, request: HttpRequest, queryset: QuerySet[Any], own: bool) -> TemplateResponse:
        """Ask, naming how many sessions and whose."""
        count = queryset.count()
        named = _owners(queryset)
        return ask(
            self,
            request,
            title_of(queryset, count),
            number=count,
            owners=named,
            others=count - sum(number for _, number in named),
            own=own,
            own_alone=own and count == 1,
            action_checkbox_name=helpers.ACTION_CHECKBOX_NAME,
            # Django's list view takes no action without a selected row, even for all that match.
            selected=request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
            across=request.POST.get("select_across") == "1",
            row=queryset[0] if count == 1 else None,
        )


def end_where_name(opts: Any) -> str:
    """Return the name of the page that ends what the filters of a model's list find."""
    return f"{opts.app_label}_{opts.model_name}_end_where"


def _are_many(queryset: QuerySet[Any]) -> bool:
    return queryset.order_by()[: _MOST_AT_ONCE + 1].count() > _MOST_AT_ONCE


def may_end(request: HttpRequest, model: Any) -> bool:
    """Tell whether this member of staff may end the sessions of a model."""
    opts = model._meta
    codenames = (get_permission_codename(name, opts) for name in ("delete", "revoke"))
    return any(request.user.has_perm(f"{opts.app_label}.{name}") for name in codenames)


def is_of_what_is_deleted(request: HttpRequest, model: Any) -> bool:
    """Tell whether this page deletes what rows of the model belong to, such as a user.

    They go along then, and it takes no permission of their own: Django would refuse it otherwise.
    """
    match, opts = request.resolver_match, model._meta
    page = (match.url_name or "") if match is not None else ""
    own = page.startswith(f"{opts.app_label}_{opts.model_name}_")
    return page.endswith(("_delete", "_changelist")) and not own


def end_user_url(request: HttpRequest, site: str, user_id: Any) -> str:
    """Return the page that ends all sessions of a user, "" for who may not, or where none is.

    Arguments: `site` is the name of the AdminSite.
    """
    model = session_model()
    if user_id in (None, "") or not may_end(request, model):
        return ""
    name = f"{site}:{model._meta.app_label}_{model._meta.model_name}_end_user"
    try:
        return reverse(name, args=[user_id])
    except NoReverseMatch:  # not registered on this site
        return ""


def title_of(rows: Any, count: int = 1) -> str:
    """Return the question whether to end sessions, which names the device of a single one."""
    if count == 1:
        return gettext("End the session “%(device)s”?") % {"device": rows[0].device_words}
    title = ngettext("End %(count)d session?", "End %(count)d sessions?", count)
    return title % {"count": count}


def ask(
    model_admin: Any, request: HttpRequest, title: str, row: Any = None, **context: Any
) -> TemplateResponse:
    """Return the page that asks whether to end sessions.

    Arguments: `owners` are names with numbers; `row` is the one whose button led here, to which one
    comes back who ends nothing.
    """
    list_url = _list_url(model_admin, request)
    context = {
        "number": 1,
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "list_url": list_url,
        "back_url": list_url if row is None else f"{list_url}#{button_id(row)}",
        **context,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "jwtsession/admin/end_sessions.html", context)


def button_id(row: Any) -> str:
    """Return the id of a row's button: who changes their mind comes back to it."""
    return f"jwtsession-end-{row.pk}"


def ended_already(model_admin: Any, request: HttpRequest) -> HttpResponseRedirect:
    """Say that somebody else was faster, or the session's own end."""
    text = gettext("That session has ended already.")
    model_admin.message_user(request, text, messages.WARNING)
    return way_back(model_admin, request)


def way_back(model_admin: Any, request: HttpRequest) -> HttpResponseRedirect:
    """Go back to the list as it was filtered, or to the index who may not see it.

    The focus goes to the message and the list, and not to the navigation before them.
    """
    return HttpResponseRedirect(f"{_list_url(model_admin, request)}{_CONTENT}")


def _list_url(model_admin: Any, request: HttpRequest) -> str:
    site, opts = model_admin.admin_site.name, model_admin.opts
    if not model_admin.has_view_permission(request):
        return reverse(f"{site}:index")
    url = reverse(f"{site}:{opts.app_label}_{opts.model_name}_changelist")
    try:
        came_from = urlsplit(request.POST.get("back") or request.headers.get("Referer", ""))
    except ValueError:
        return url
    # Only the query comes from outside: the way back is always to this list.
    is_list = came_from.path == url and came_from.query
    return f"{url}?{came_from.query}" if is_list else url


def own_pk(request: HttpRequest) -> UUID | None:
    """Return the id of the session that this request is in, if its engine has one."""
    sid = getattr(request.session, "sid", None)
    return None if sid is None else uuid_from_sid(sid)


def _find_user(user_id: str) -> Any:
    users = get_user_model()._default_manager
    try:
        return users.filter(pk=unquote(user_id)).first()
    except (ValueError, ValidationError, OverflowError):
        return None


def _owners(queryset: QuerySet[Any]) -> list[tuple[str, int]]:
    """Return the users who have most of these sessions, with the number of theirs."""
    numbers = queryset.order_by().values_list("user_id").annotate(number=Count("pk"))
    most = list(numbers.order_by("-number", "user_id")[:_MAX_USERS_NAMED])
    users = get_user_model()._default_manager.in_bulk([pk for pk, _ in most if pk is not None])
    return [
        (gettext("not signed in") if pk is None else str(users.get(pk, pk)), number)
        for pk, number in most
    ]
