"""What the templates of the admin need: links from a user's page, years and days above a list."""

from __future__ import annotations

from typing import Any

from django import template
from django.apps import apps
from django.contrib.auth import get_permission_codename, get_user_model
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext

from ..models.tables import SessionEvent
from ..pages.listing import engine_model, number_of

# Django loads all tags of all apps for the first template, also on sites without the admin.
if apps.is_installed("django.contrib.admin"):
    from ..admin.dates import drill_down
    from ..admin.ending import end_user_url

register = template.Library()


@register.inclusion_tag("admin/date_hierarchy.html")
def jwtsession_dates(cl: Any) -> dict[str, Any]:
    """Offer the years, months or days of a list, as Django's `date_hierarchy` does."""
    if not cl.date_hierarchy:
        return {"show": False}
    field = cl.lookup_opts.get_field(cl.date_hierarchy)
    return {"field_name": field.verbose_name, **drill_down(cl)}  # Django 6.1 shows the name


@register.inclusion_tag("jwtsession/admin/user_links.html", takes_context=True)
def jwtsession_user_links(context: Any) -> dict[str, Any]:
    """Link what this member of staff may: "Sessions (3)", "Session history", "End all sessions".

    With an engine that has no rows, the sessions are the logins of the history.
    """
    user, request = context.get("original"), context["request"]
    links: list[tuple[str, str]] = []
    if not isinstance(user, get_user_model()):
        return {"links": links}
    site = getattr(request, "current_app", None) or "admin"
    model = engine_model()
    history = _list_of(request, site, SessionEvent, user)
    if model is None:
        sessions = history and f"{history}&kind__exact={SessionEvent.Kind.LOGIN}"
    else:
        sessions = _list_of(request, site, model, user)
    if sessions:
        text = gettext("Sessions (%(count)d)") % {"count": number_of(user)}
        links.append((sessions, text))
    if history:
        links.append((history, gettext("Session history")))
    if url := end_user_url(request, site, user.pk):
        links.append((url, gettext("End all sessions")))
    return {"links": links}


def _list_of(request: Any, site: str, model: Any, user: Any) -> str:
    """Return the address of the user's rows in the admin, "" where there is no list to see."""
    opts = model._meta
    permission = f"{opts.app_label}.{get_permission_codename('view', opts)}"
    if not request.user.has_perm(permission):
        return ""
    try:
        url = reverse(f"{site}:{opts.app_label}_{opts.model_name}_changelist")
    except NoReverseMatch:  # not registered on this site
        return ""
    return f"{url}?user__exact={user.pk}"
