"""What follows from Django's own signals."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from .backends.base import TokenSession
from .backends.data import AUTH_KEYS
from .conf import get_config
from .history import events as history
from .models.clearing import clear_at_login
from .moving import notes
from .moving.foreign import KNOWN_AT_KEY
from .moving.notes import MOVED_KEY
from .policy import LoginRefused
from .signals import session_created


def on_login(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    """A login, also of the user who is logged in already: `auth_time` and device move to now.

    Not of who only gets a token, by an API that sends the signal: the session that the request has
    may be another user's, or a copy.

    Raises LoginRefused where POLICY allows no session more; nobody is logged in then.
    """
    session = getattr(request, "session", None)
    if isinstance(session, TokenSession):
        if not (session.has_login() and _is_of(session, user)):
            return
        try:
            session.admit(user, request)
        except LoginRefused:
            _undo_login(request)
            raise
        is_new = session.auth_time is None
        session.mark_login(request.META)
        history.note_login(request, user)
        if is_new:
            common = {"sender": type(session), "sid": session.sid, "user_id": user.pk}
            history.tell(session_created, **common, environ=request.META)
        clear_at_login()
    elif session is not None and get_config().moves and _is_of(session, user):
        session[KNOWN_AT_KEY] = time.time()  # it may move in, or back in, one day


def _is_of(session: Any, user: Any) -> bool:
    """Tell whether a user is logged in to a session."""
    return bool(str(session.get(SESSION_KEY)) == user._meta.pk.value_to_string(user))


def _undo_login(request: HttpRequest) -> None:
    """Take back what login() has done before it told anybody; what a visitor had stays."""
    session: Any = request.session
    for key in AUTH_KEYS:
        session.pop(key, None)
    if not session.keys():
        session.flush()
    request.user = AnonymousUser()


def on_logout(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    """A logout; Django sends it before the session ends, without a user where there was none.

    That of an API's token may come with another user's session, which goes on.
    """
    session = getattr(request, "session", None)
    if isinstance(session, TokenSession):
        session.mark_logout()
        if user is not None and (SESSION_KEY not in session or _is_of(session, user)):
            history.note_logout(request, user)
    elif session is not None and get_config().moves:
        notes.void(session.get(MOVED_KEY))


def on_login_failed(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """A wrong password, or whatever else the authentication backends refused."""
    history.note_failed_login(credentials, request)
