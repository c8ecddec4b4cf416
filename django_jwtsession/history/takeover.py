"""Staff who take over a user: what django-hijack, django-loginas and django-impersonate leave.

The first two log the staff member in as the user and note in the session who it is; the third
leaves the session to the staff member and puts the user into each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest

HIJACK = "hijack_history"
_LOGINAS = "loginas_from_user"
_PACKAGES = frozenset({"hijack", "loginas"})


def actor_of(data: Mapping[str, Any]) -> Any:
    """Return the pk of the staff member who works in a session of somebody else; None for nobody.

    Arguments: `data` is the session, or its data.
    """
    history = data.get(HIJACK)
    if isinstance(history, list) and history:
        return _pk(history[0])  # the one who hijacked first is the one who sits there
    flag = data.get(getattr(settings, "LOGINAS_FROM_USER_SESSION_FLAG", _LOGINAS))
    if not isinstance(flag, str):
        return None
    try:
        return _pk(TimestampSigner().unsign(flag))
    except BadSignature:
        return None


def is_by_staff(request: HttpRequest, data: Mapping[str, Any]) -> bool:
    """Tell whether staff take over a user in this login, or have taken over already.

    The view of theirs that does it leaves its note in the session only after the login.
    """
    if actor_of(data) is not None:
        return True
    match = getattr(request, "resolver_match", None)
    view = getattr(match, "func", None)
    view = getattr(view, "view_class", view)
    homes = [getattr(one, "__module__", "") for one in getattr(view, "__mro__", (view,))]
    return any(home.partition(".")[0] in _PACKAGES for home in homes)


def _pk(text: Any) -> Any:
    users: Any = get_user_model()
    try:
        return users._meta.pk.to_python(text)
    except ValidationError:
        return None
