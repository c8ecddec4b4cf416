"""Whether the user of a session is still let in: there, active, with the same password."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from django.contrib.auth import get_user_model, load_backend
from django.contrib.auth.backends import ModelBackend
from django.db import DatabaseError, InterfaceError
from django.utils.crypto import constant_time_compare

from .knowledge import Identity


class Claimed(Protocol):
    """What a session says of its user: who, by which backend, with which password's hash."""

    who: Identity
    backend: str
    auth_hash: str | None


T = TypeVar("T", bound=Claimed)


def lets_in(backend: str, user_id: str, auth_hash: str | None) -> bool:
    """Tell whether the backend still knows the user, with the password of the session.

    Arguments: `auth_hash` is None where the session's is not known: any password will do.
    """
    try:
        found: Any = load_backend(backend)
        user = found.get_user(user_id)
    except (DatabaseError, InterfaceError):
        raise
    except Exception:  # a backend of another deploy, an id that is none: as Django, nobody
        return False
    return user is not None and has_password_of(user, auth_hash)


def has_new_password(backend: str, user_id: str, auth_hash: str) -> bool:
    """Tell whether the backend lets the user in, with another password than the session's.

    Not where that cannot be read: who asks does without.
    """
    try:
        return not lets_in(backend, user_id, auth_hash) and lets_in(backend, user_id, None)
    except (DatabaseError, InterfaceError):
        return False


def has_password_of(user: Any, auth_hash: str | None) -> bool:
    """Tell whether the user's password is the one with which the session was made."""
    get_hash = getattr(user, "get_session_auth_hash", None)
    if get_hash is None or auth_hash is None:
        return True
    fallbacks = getattr(user, "get_session_auth_fallback_hash", tuple)
    return any(constant_time_compare(auth_hash, one) for one in (get_hash(), *fallbacks()))


def not_let_in(claimed: Iterable[T]) -> list[T]:
    """Return whose user is let in no more; one query where the backend asks as Django's does."""
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for one in claimed:
        groups[one.backend].append(one)
    out: list[T] = []
    for path, group in groups.items():
        users = _users(path, {str(one.who.user) for one in group})
        for one in group:
            name = str(one.who.user)
            user = None if users is None else users.get(name)
            is_known = user is not None and has_password_of(user, one.auth_hash)
            # What looks wrong from afar is asked as Django asks it.
            if not is_known and not lets_in(path, name, one.auth_hash):
                out.append(one)
    return out


def _users(path: str, ids: set[str]) -> dict[str, Any] | None:
    """Return the users that the backend lets in, by id; None where it has ways of its own."""
    try:
        backend: Any = load_backend(path)
        if type(backend).get_user is not ModelBackend.get_user:
            return None
        model: Any = get_user_model()
        found = list(model._default_manager.filter(pk__in=ids))
    except (DatabaseError, InterfaceError):
        raise
    except Exception:  # as lets_in(): one by one
        return None
    return {
        model._meta.pk.value_to_string(user): user
        for user in found
        if backend.user_can_authenticate(user)
    }
