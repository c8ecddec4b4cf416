"""The names that users give their devices.

A name is an event of the history, so it works with every engine, needs no table and no column, is
kept as long as the session can be, and goes with its user. The browser itself remembers it in a
signed cookie, so that the next login on the device has it again; nothing else tells one iPhone
from another, and a guess would put a stranger's session under a name that is trusted.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.core import signing
from django.db import router
from django.http import HttpRequest, HttpResponse

from ..conf import get_config
from ..devices import clients as devices
from ..history import log
from ..models.retry import run_again
from ..models.tables import SessionEvent

_KEPT = 400 * 86400  # what browsers keep a cookie for, at most
_MOST = 2000


def names_of(user_id: Any) -> dict[str, str]:
    """Return the names of a user's devices by sid; of several the last."""
    events = SessionEvent.objects.using(router.db_for_write(SessionEvent)).filter(
        user=user_id, kind__in=(SessionEvent.Kind.LOGIN, SessionEvent.Kind.NAMED)
    )
    names: dict[str, str] = {}
    for sid, detail in events.order_by("-created_at").values_list("sid", "detail")[:_MOST]:
        if "name" in detail:
            names.setdefault(sid, detail["name"])
    return names


def give(request: HttpRequest, sid: str, name: str) -> None:
    """Give the device of a session of the request's user a name; "" takes it away."""
    event = SessionEvent(
        kind=SessionEvent.Kind.NAMED,
        sid=sid,
        user_id=request.user.pk,
        actor_id=request.user.pk,
        detail={"name": name},
        **devices.columns(request.META, get_config()),
    )
    using = router.db_for_write(SessionEvent)
    run_again(using, partial(event.save, using=using, force_insert=True))
    log.note(event)


def remember(request: HttpRequest, response: HttpResponse, name: str) -> None:
    """Let the browser of the request know the name of its device, if it does not yet."""
    if devices.remembered_name(request.COOKIES, request.user).get("name", "") == name:
        return
    if not name:
        response.delete_cookie(
            devices.name_cookie(),
            path=settings.SESSION_COOKIE_PATH,
            domain=settings.SESSION_COOKIE_DOMAIN,
            samesite=settings.SESSION_COOKIE_SAMESITE,
        )
        return
    response.set_cookie(
        devices.name_cookie(),
        signing.dumps(name, salt=devices.name_salt(request.user)),
        max_age=_KEPT,
        path=settings.SESSION_COOKIE_PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite=settings.SESSION_COOKIE_SAMESITE,
    )
