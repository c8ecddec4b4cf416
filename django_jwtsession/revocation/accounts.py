"""What happens to an account ends its sessions: deleted, deactivated, or given a new password.

Told by Django's signals, so that it needs no change to the user model, wherever its table is.
`queryset.update()`, bulk operations, fixtures and SQL send none; there Django's `get_user()` finds,
request by request, that the user is gone, inactive, or has another password.
"""

from __future__ import annotations

import copy
import hmac
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db.models.signals import post_delete, post_init, post_save
from django.http import HttpRequest
from django.utils.module_loading import import_string

from ..history import later
from ..history.names import may_log_in
from ..models.registry import session_model
from .ending import revoke_user_sessions
from .reasons import EndReason

_WATCHED = ("password", "is_active")
_AUTH = (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)


def watch(users: Any) -> None:
    """Be told of what happens to the users of a model, of its proxies, subclasses and parents.

    Django sends the signal of a saved object for its own class alone, that of a deleted one for its
    parents too, and for its subclasses that have a row of it.
    """
    uid, parts = "django_jwtsession.accounts", set(_tables_of(users))
    for model in apps.get_models():
        if issubclass(model, users) or model in parts:
            post_init.connect(_remember, sender=model, dispatch_uid=uid)
            post_save.connect(_on_save, sender=model, dispatch_uid=uid)
            if model is users or model._meta.proxy:
                post_delete.connect(_on_delete, sender=model, dispatch_uid=uid)


def _tables_of(users: Any) -> Iterator[Any]:
    """Yield the models that hold a part of a user under the same key."""
    yield users
    for parent, link in users._meta.parents.items():
        if link is not None and link.primary_key:
            yield from _tables_of(parent)


# --- what has happened ---------------------------------------------------------------------------


def _remember(instance: Any, **kwargs: Any) -> None:
    """Keep what was loaded, in a place that is no field and no attribute of the user's."""
    values = instance.__dict__
    instance._state.jwtsession_loaded = {k: values[k] for k in _WATCHED if k in values}


def _on_save(
    instance: Any, created: bool, raw: bool, update_fields: Any, using: str, **kwargs: Any
) -> None:
    values, before = instance.__dict__, getattr(instance._state, "jwtsession_loaded", {})
    saved = _WATCHED if update_fields is None else update_fields
    after = {k: values[k] for k in _WATCHED if k in values and k in saved}
    instance._state.jwtsession_loaded = before | after
    if created or raw:
        return
    if before.get("is_active") and not after.get("is_active", True):
        if not may_log_in(instance):
            _end(instance, EndReason.DEACTIVATED, using)
    elif "password" in after and _is_new_password(instance, before, saved):
        _end(instance, EndReason.PASSWORD, using)
    elif "password" in after and before.get("password", instance.password) != instance.password:
        keep = partial(_go_on_under_new_hash, copy.copy(instance), before["password"])
        later.after_commit(partial(later.attempt, keep), using)


def _is_new_password(instance: Any, before: dict[str, Any], saved: Any) -> bool:
    """Tell whether a password was saved that is new, and no new hash of the old one."""
    if getattr(instance, "_password", None) is not None:  # of set_password(), until it is saved
        return True
    # So does check_password() save where the hasher has become stronger; get_user() cares.
    rehashed = list(saved) == ["password"]
    return not rehashed and before.get("password", instance.password) != instance.password


def _on_delete(instance: Any, using: str, **kwargs: Any) -> None:
    if later.in_test_case(
        using
    ):  # Django opens a transaction for a deletion, and that one never ends
        _end_now(copy.copy(instance), EndReason.DELETED)
    else:
        _end(instance, EndReason.DELETED, using)


# --- what follows --------------------------------------------------------------------------------


def _end(instance: Any, reason: EndReason, using: str) -> None:
    """End the user's sessions once that is final: committed, and the view has said which one stays.

    Django's own view saves the user before it calls update_session_auth_hash().
    """
    later.after_commit(partial(_end_now, copy.copy(instance), reason), using)


def _end_now(user: Any, reason: EndReason) -> None:
    todo = later.current()
    if todo is not None:
        session = getattr(todo.request, "session", None)
        before = _frozen(session) if _is_of(session, user) else {}
        # Of passwords that follow each other it is the last that a session is to have.
        todo.after_view[:] = [
            each for each in todo.after_view if getattr(each, "args", ())[:2] != (user, reason)
        ]
        todo.after_view.append(partial(_end_after_view, user, reason, before, session))
    elif reason is not EndReason.PASSWORD or _views_are_known():
        later.attempt(partial(_revoke, user, None, None, reason))


def _end_after_view(
    user: Any, reason: EndReason, before: dict[str, bytes], then: Any, request: HttpRequest
) -> None:
    """End the user's sessions but the one that the view has told of a new password.

    Arguments: `then` is the session that the request had when the user was saved. An API's, opened
    by a header, stands in the place of the cookie's for as long as its view runs.
    """
    session: Any = getattr(request, "session", None)
    sessions = [session, then] if reason is EndReason.PASSWORD else []
    keep = next((one for one in sessions if _has_hash(one, user)), None)
    own = keep is None and _is_of(session, user)
    by = user if keep is not None else _actor(request, user)
    _revoke(user, keep, by, reason)
    if own:
        _let_go(before, request)


def _revoke(user: Any, keep: Any, by: Any, reason: EndReason) -> None:
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if not hasattr(store, "is_over"):  # another engine's sessions
        return
    model = session_model(store)
    # A thousand users who never logged in are deleted at a query each.
    if not hasattr(store, "get_model_class") or _has_rows(model, user):
        revoke_user_sessions(user, keep=keep, by=by, reason=reason)


def _has_rows(model: Any, user: Any) -> bool:
    return bool(model.objects.filter(user_id=user.pk).exists())


def _views_are_known() -> bool:
    """Tell whether code outside of our middleware is outside of every view.

    Else a new password may have come from a view whose own session is to stay.
    """
    found = (import_string(path) for path in settings.MIDDLEWARE)
    return any(getattr(one, "opens_later", False) for one in found)


# --- the session of the request ------------------------------------------------------------------


def _go_on_under_new_hash(user: Any, before: str) -> None:
    """Let who has just given the password stay signed in: its hash is new, and get_user() compares.

    Under a new epoch: a parallel request with the hash of before ends nothing.
    """
    todo, then = later.current(), copy.copy(user)
    session: Any = getattr(todo and todo.request, "session", None)
    then.password = before
    if _has_hash(session, then):
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.cycle_key()


def _is_of(session: Any, user: Any) -> bool:
    """Tell whether a session, where it has been looked at, is the user's."""
    if not getattr(session, "accessed", False) or not hasattr(session, "is_over"):
        return False
    name = user._meta.pk.value_to_string(user)
    return bool(str(session.get(SESSION_KEY)) == name)


def _has_hash(session: Any, user: Any) -> bool:
    """Tell whether a session goes on under the user's new password."""
    if not _is_of(session, user) or not hasattr(user, "get_session_auth_hash"):
        return False
    expected: str = user.get_session_auth_hash()
    return hmac.compare_digest(str(session.get(HASH_SESSION_KEY)), expected)


def _let_go(before: dict[str, bytes], request: HttpRequest) -> None:
    """Let the visitor go on as nobody, with what the view has stored since: a message, a key.

    Not with what the session held before.
    """
    session: Any = request.session
    now = _frozen(session)
    new = [key for key in now if key not in _AUTH and now[key] != before.get(key)]
    values = {key: session[key] for key in new}
    session.flush()
    session.update(values)


def _frozen(session: Any) -> dict[str, bytes]:
    """Return what a session holds in a form that later changes do not reach."""
    dumps: Callable[[Any], bytes] = session.serializer().dumps
    return {key: dumps({"": value}) for key, value in session.items()}


def _actor(request: HttpRequest, user: Any) -> Any:
    """Return who has done it, as far as the session tells: staff, or the users themselves."""
    session: Any = getattr(request, "session", None)
    if not getattr(session, "accessed", False):
        return None
    if _is_of(session, user):
        return user
    actor = getattr(request, "impersonator", None) or getattr(request, "user", None)
    return actor if getattr(actor, "is_authenticated", False) else None
