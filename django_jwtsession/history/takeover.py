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

HIJACK = "hijack_history"
_LOGINAS = "loginas_from_user"


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


def _pk(text: Any) -> Any:
    users: Any = get_user_model()
    try:
        return users._meta.pk.to_python(text)
    except ValidationError:
        return None
