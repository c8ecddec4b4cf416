"""The users that a page's rows name, found without a join: they may live in another database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext

_MAX_USERS_FOUND = 1000


def load_people(rows: Iterable[Any], names: Iterable[str]) -> None:
    """Give rows the users of their foreign keys `names`, all by one query on the users' database.

    A relation of Django's, prefetched or not, would ask in the database of the rows.
    """
    rows, names = list(rows), list(names)
    fields = [row._meta.get_field(name) for row in rows[:1] for name in names]
    pks = {getattr(row, field.attname) for row in rows for field in fields} - {None}
    users = get_user_model()._base_manager.in_bulk(pks) if pks else {}
    for row in rows:
        for field in fields:
            field.set_cached_value(row, users.get(getattr(row, field.attname)))


def name_of(user: Any, user_id: Any) -> str:
    """Return the name of a user who may have been deleted meanwhile; "" for nobody."""
    if user is not None:
        return str(user)
    return "" if user_id is None else gettext("deleted user %(id)s") % {"id": user_id}


def user_url(request: Any, model_admin: Any, user: Any) -> str:
    """Return the admin's page of a user, "" for who may not see it, or where none is."""
    if user is None:
        return ""
    of_users = model_admin.admin_site._registry.get(type(user))
    if of_users is None or not of_users.has_view_permission(request, user):
        return ""
    opts = type(user)._meta
    name = f"{model_admin.admin_site.name}:{opts.app_label}_{opts.model_name}_change"
    try:
        return reverse(name, args=[user.pk])
    except NoReverseMatch:  # the project's ModelAdmin has no such page
        return ""


def users_named(name: str) -> list[Any]:
    """Return the pks of the users of exactly this name."""
    users = get_user_model()
    found = users._default_manager.filter(**{users.USERNAME_FIELD: name})
    return list(found.values_list("pk", flat=True))


def users_like(term: str) -> list[Any]:
    """Return the pks of users by name or e-mail; a list, so that the sessions' index is used."""
    users = get_user_model()
    names = {users.USERNAME_FIELD, getattr(users, "EMAIL_FIELD", users.USERNAME_FIELD)}
    found = Q()
    for name in names:
        found |= Q(**{f"{name}__icontains": term})
    return list(
        users._default_manager.filter(found).values_list("pk", flat=True)[:_MAX_USERS_FOUND]
    )
