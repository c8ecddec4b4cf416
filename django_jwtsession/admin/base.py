"""What the two lists of the admin share: who may, their users, search, and the button that ends."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from .dates import DrillDownList
from .ending import button_id, end_user_url, is_of_what_is_deleted
from .lists import ADMIN_CSS, CappedPaginator, matches
from .people import load_people, name_of, user_url
from .stepup import FreshLoginAdminMixin


def _never(value: Any) -> bool:
    return False


class PeopleList(DrillDownList):
    """A page of rows with their users, who were found by one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        shown: Any = self.model_admin
        load_people(self.result_list, shown.people)


class ReadOnlyAdmin(FreshLoginAdminMixin):
    """Rows that nobody adds or changes, of a table that may have millions."""

    # Foreign keys to users that are shown.
    people: tuple[str, ...] = ("user",)
    search_fields = ("user",)  # shows the box; see get_search_results()
    search_help_text = _("User name, e-mail, IP address or its beginning, session id")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    paginator = CappedPaginator
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
        """With a user go sessions and history, whoever may delete the user."""
        return is_of_what_is_deleted(request, self.model)

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether the user may end sessions; what `permissions=["revoke"]` asks of actions."""
        raise NotImplementedError

    # --- rows and their users ----------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read where the writes go: a replica that lags shows what has ended."""
        return super().get_queryset(request).using(router.db_for_write(self.model))

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the row with its users, and with the address of its user's page."""
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None:
            load_people([row], self.people)
            row.user_url = user_url(request, self, row.user)
        return row

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return PeopleList

    def get_list_display(self, request: HttpRequest) -> Any:
        """Put the button second, where no width of the window hides it and it covers nothing."""
        first, *rest = super().get_list_display(request)
        return (first, "end_link", *rest) if self.has_revoke_permission(request) else (first, *rest)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find rows by user name, e-mail, address or its beginning, session id as both write it."""
        term = search_term.strip()
        return (queryset.filter(matches(term, queryset)) if term else queryset), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        user_id = request.GET.get("user__exact")
        context = {"end_user_url": end_user_url(request, self.admin_site.name, user_id)}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        context = {"end_url": "", "end_user_url": ""}
        if row is not None and self.has_revoke_permission(request, row):
            context = self.ending_urls(request, row)
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def ending_urls(self, request: HttpRequest, row: Any) -> dict[str, str]:
        """Return where a row's session, and all of its user's, are ended; "" if they are not."""
        site = self.admin_site.name
        return {
            "end_url": self.end_url(row),
            "end_user_url": end_user_url(request, site, row.user_id),
        }

    def end_url(self, row: Any) -> str:
        """Return the address of the page that ends the session of a row."""
        raise NotImplementedError

    # --- columns -----------------------------------------------------------------------------

    def action_checkbox(self, obj: Any) -> Any:
        """Name more than the device: a user has several lines of one device."""
        label = gettext("Select: %(row)s") % {"row": self.row_label(obj)}
        attributes = {"class": "action-select", "aria-label": label}
        checkbox = forms.CheckboxInput(attributes, _never)
        return checkbox.render(helpers.ACTION_CHECKBOX_NAME, str(obj.pk))

    def row_label(self, row: Any) -> str:
        """Return what tells a row from all others, for those who hear the page."""
        raise NotImplementedError

    @admin.display(description=pgettext_lazy("sessions", "user"))
    def user_name(self, row: Any) -> str:
        return name_of(row.user, row.user_id)

    @admin.display(description=pgettext_lazy("sessions", "user"))
    def user_link(self, row: Any) -> str:
        """Link the user's page from a row's own."""
        url, name = getattr(row, "user_url", ""), self.user_name(row)
        return format_html('<a href="{}">{}</a>', url, name) if url else name

    def end_button(self, url: str, row: Any) -> str:
        """Return the button that leads to ending the session of a row."""
        label = gettext("End: %(row)s") % {"row": self.row_label(row)}
        return format_html(
            '<a class="jwtsession-button" id="{}" href="{}" aria-label="{}">{}</a>',
            button_id(row),
            url,
            label,
            pgettext("button", "End"),
        )
