"""The links from a user's page in the admin to their sessions and history."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.auth import get_permission_codename, get_user_model
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext

from ..cleanup import session_model
from ..models import SessionEvent

register = template.Library()


@register.inclusion_tag("jwtsession/admin/user_links.html", takes_context=True)
def jwtsession_user_links(context: Any) -> dict[str, Any]:
    """Link what this member of staff may view: "Sessions (3)" and "Session history"."""
    user, request = context.get("original"), context["request"]
    links: list[tuple[str, str]] = []
    if not isinstance(user, get_user_model()):
        return {"links": links}
    model = session_model()
    if url := _list_of(request, model, user):
        count = model.objects.filter(user_id=user.pk).in_force().count()
        links.append((url, gettext("Sessions (%(count)d)") % {"count": count}))
    if url := _list_of(request, SessionEvent, user):
        links.append((url, gettext("Session history")))
    return {"links": links}


def _list_of(request: Any, model: Any, user: Any) -> str:
    """Return the address of the user's rows in the admin, "" where there is no list to see."""
    opts = model._meta
    permission = f"{opts.app_label}.{get_permission_codename('view', opts)}"
    if not request.user.has_perm(permission):
        return ""
    site = getattr(request, "current_app", None) or "admin"
    try:
        url = reverse(f"{site}:{opts.app_label}_{opts.model_name}_changelist")
    except NoReverseMatch:  # not registered on this site
        return ""
    return f"{url}?user__exact={user.pk}"
