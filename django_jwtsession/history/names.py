"""Whose name was typed in a login that failed: found as the authentication backends find it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from django.apps import apps
from django.contrib.auth import get_backends, get_user_model
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist

# Longer than any name or address.
_LONGEST = 320


def typed(credentials: Mapping[str, Any]) -> list[str]:
    """Return the names among the credentials of a login, the most telling first."""
    users: Any = get_user_model()
    keys = (users.USERNAME_FIELD, "username", _email_field(), "email", "login")
    names = [credentials[key] for key in dict.fromkeys(keys) if key in credentials]
    # PostgreSQL takes no NUL.
    return [n for n in names if isinstance(n, str) and 0 < len(n) <= _LONGEST and "\0" not in n]


def user_of(names: list[str]) -> Any:
    """Return the user whom the site's backends know by one of the names, if there is just one.

    None also for a user whom they would refuse with the right password: what failed then may have
    been no wrong password.
    """
    user = next((user for name in names for user in _found(name)), None)
    return user if user is not None and may_log_in(user) else None


def may_log_in(user: Any) -> bool:
    """Tell whether a backend accepts the user, who may be inactive."""
    checks = [getattr(backend, "user_can_authenticate", None) for backend in get_backends()]
    if not any(checks):
        return bool(getattr(user, "is_active", True))
    return any(check(user) for check in checks if check is not None)


def _found(name: str) -> Iterator[Any]:
    try:
        yield get_user_model()._default_manager.get_by_natural_key(name)
    except (ObjectDoesNotExist, MultipleObjectsReturned, ValueError):
        if "@" in name and _takes_emails():
            found = _by_email(name)
            if len(found) == 1:
                yield found[0]


def _takes_emails() -> bool:
    """Tell whether a backend looks for users in another way than Django's, by user name."""
    return any(
        getattr(type(backend), "authenticate", None) is not ModelBackend.authenticate
        for backend in get_backends()
    )


def _by_email(address: str) -> list[Any]:
    if apps.is_installed("allauth.account"):  # one user has several there
        found: list[Any] = import_module("allauth.account.utils").filter_users_by_email(address)
        return found
    users: Any = get_user_model()
    field = _email_field()
    if not any(one.name == field for one in users._meta.fields):
        return []
    return list(users._default_manager.filter(**{f"{field}__iexact": address})[:2])


def _email_field() -> str:
    users: Any = get_user_model()
    name: str = users.get_email_field_name() if hasattr(users, "get_email_field_name") else "email"
    return name
