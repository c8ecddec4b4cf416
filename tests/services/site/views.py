"""Small pages that do one thing to a session each; parameters come in the query, answers are JSON.

Every page takes `gate`, a name: having read its session it waits there until a test lets it on.
"""

from __future__ import annotations

import os
import time
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.models import User
from django.core.mail import send_mail
from django.db import transaction
from django.http import HttpRequest, JsonResponse

from django_jwtsession.decorators import fresh_login
from django_jwtsession.models import Session
from django_jwtsession.revocation import get_feed, revoke_session, revoke_user_sessions

from . import oddities


def _path(gate: str) -> Path:
    return Path(os.environ["SITE_GATES"]) / gate


def wait_at(name: str) -> None:
    """Say that a request has arrived at the gate `name`; go on when it is open, 20 s at most."""
    gate = _path(name)
    gate.with_suffix(".reached").touch()
    end = time.monotonic() + 20
    while not gate.with_suffix(".open").exists():
        if time.monotonic() > end:
            raise TimeoutError(name)
        time.sleep(0.01)


def page(view: Any) -> Any:
    """Make a page of a function of (request, parameters) that returns JSON."""

    @wraps(view)
    def answer(request: HttpRequest) -> JsonResponse:
        parameters = request.GET.dict()
        gate = parameters.pop("gate", None)
        if gate is not None:
            request.session.get("")  # reads it
            wait_at(gate)
        found = view(request, **parameters) or {}
        return JsonResponse({"pid": os.getpid()} | found)

    return answer


def seen(request: HttpRequest) -> dict[str, Any]:
    """What a page that needs no database knows of its visitor."""
    data = dict(request.session.items())
    user = data.pop("_auth_user_id", None)
    data = {key: value for key, value in data.items() if not key.startswith("_")}
    # Django's engines, as controls, have no name for a session but its key.
    sid = getattr(request.session, "sid", None) or request.session.session_key
    return {"user": user, "sid": sid, "data": data}


@page
def ping(request: HttpRequest) -> None:
    """Without a session."""


@page
def shift(request: HttpRequest, seconds: str) -> None:
    """Move the clock of this process."""
    oddities.shift(float(seconds))


@page
def learn(request: HttpRequest) -> None:
    """Ask the feed now, whether it is due or not."""
    get_feed().refresh(max_age=0)


@page
def new_user(request: HttpRequest, name: str) -> dict[str, Any]:
    return {"user": str(User.objects.create_user(name, password="old password").pk)}


@page
def log_in(request: HttpRequest, user: str) -> dict[str, Any]:
    login(request, User.objects.get(pk=user))
    return {"user": user}


@page
def log_out(request: HttpRequest) -> None:
    logout(request)


@page
def whoami(request: HttpRequest) -> dict[str, Any]:
    """With Django's query for the user."""
    return {"user": None if request.user.is_anonymous else str(request.user.pk)}


@page
def session(request: HttpRequest, revalidate: str = "", sleep: str = "0") -> dict[str, Any]:
    """With no query of its own; `revalidate` reads what is true now, `sleep` takes its time."""
    if revalidate and hasattr(request.session, "revalidate"):
        request.session.revalidate()
    found = seen(request)
    time.sleep(float(sleep))
    return found


async def asession(request: HttpRequest) -> JsonResponse:
    """The same, async."""
    user = await request.session.aget("_auth_user_id")
    return JsonResponse({"pid": os.getpid(), "user": user})


@page
def put(request: HttpRequest, **values: str) -> None:
    for key, value in values.items():
        request.session[key] = value


@page
def remove(request: HttpRequest, key: str) -> None:
    del request.session[key]


@page
def append(request: HttpRequest, value: str) -> None:
    """Change a nested value in place."""
    basket = request.session.setdefault("basket", {"items": []})
    basket["items"].append(value)
    request.session.modified = True


@page
def change_password(request: HttpRequest) -> None:
    user: Any = request.user
    user.set_password("new password")
    user.save()
    update_session_auth_hash(request, user)


@page
def end_session(request: HttpRequest, sid: str) -> None:
    revoke_session(sid, reason="test")


@page
def end_in_vain(request: HttpRequest, sid: str) -> None:
    """In a transaction that is rolled back, as ATOMIC_REQUESTS does after an error."""
    with transaction.atomic():
        revoke_session(sid, reason="test")
        transaction.set_rollback(True)


@page
def end_slowly(request: HttpRequest, sid: str, seconds: str) -> None:
    """In a transaction that commits some time after."""
    with transaction.atomic():
        revoke_session(sid, reason="test")
        time.sleep(float(seconds))


@page
def write_around(request: HttpRequest, user: str, between: str, question: str) -> None:
    """Write, ask, and write again, in one transaction, which waits before it asks."""
    with transaction.atomic():
        User.objects.filter(pk=user).update(first_name="before")
        wait_at(between)
        if question == "feed":
            get_feed().refresh(max_age=0)
        else:
            request.session.get("")
        User.objects.filter(pk=user).update(last_name="after")


@page
def end_all(request: HttpRequest, user: str, keep: str = "") -> None:
    revoke_user_sessions(User.objects.get(pk=user), keep=keep or None)


@page
def end_rows(request: HttpRequest, user: str) -> dict[str, Any]:
    """As the admin's action does."""
    return {"ended": Session.objects.filter(user=user).revoke()}


@page
def is_ended(request: HttpRequest) -> dict[str, Any]:
    """Ask while the request goes on, as a page that streams does."""
    request.session.get("")
    began = time.monotonic()
    while not request.session.is_over():
        if time.monotonic() - began > 10:
            return {"after": None}
        time.sleep(0.05)
    return {"after": time.monotonic() - began}


@page
def prove(request: HttpRequest) -> None:
    """The visitor has given the password once more."""
    user: Any = request.user
    assert user.is_authenticated
    login(request, user)


@page
def end_others(request: HttpRequest) -> None:
    """As the page "End all other sessions" does, but for the password."""
    user: Any = request.user
    revoke_user_sessions(user, keep=request.session)
    request.session.cycle_key()


@fresh_login(max_age=60)
@page
def fresh(request: HttpRequest) -> None:
    """For logins, or proofs, that are a minute old at most."""


@page
def try_code(request: HttpRequest) -> dict[str, Any]:
    """Try a code: three tries a session."""
    tries = request.session.get("tries", 0)
    if tries >= 3:
        return {"allowed": False}
    request.session["tries"] = tries + 1
    return {"allowed": True}


@page
def redeem(request: HttpRequest) -> dict[str, Any]:
    return {"redeemed": request.session.pop("code", None) is not None}


@page
def stream(request: HttpRequest, seconds: str = "10", told: str = "") -> dict[str, Any]:
    """Ask what a page that streams asks, until the answer is yes, or for so many seconds.

    The first no opens the way for whoever waits for `told`, see wait_at().
    """
    request.session.get("")
    began = time.monotonic()
    while not request.session.is_over():
        if told:
            _path(told).with_suffix(".reached").touch()
        if time.monotonic() - began > float(seconds):
            return {"over": False}
        time.sleep(0.1)
    return {"over": True}


@page
def key(request: HttpRequest) -> dict[str, Any]:
    request.session.get("")
    return {"key": request.session.session_key}


@page
def open_key(request: HttpRequest, key: str) -> dict[str, Any]:
    """What a neighbour finds who has stored a key."""
    found = dict(import_module(settings.SESSION_ENGINE).SessionStore(key).items())
    return {"data": {name: value for name, value in found.items() if not name.startswith("_")}}


@page
def expire_in(request: HttpRequest, seconds: str) -> None:
    request.session.set_expiry(int(seconds))


@page
def set_password(request: HttpRequest, user: str) -> None:
    """As staff do it."""
    found = User.objects.get(pk=user)
    found.set_password("by staff")
    found.save()


@page
def deactivate(request: HttpRequest, user: str) -> None:
    found = User.objects.get(pk=user)
    found.is_active = False
    found.save()


@page
def end_all_and_fail(request: HttpRequest, user: str) -> None:
    """As under ATOMIC_REQUESTS: all that this page has written is rolled back."""
    with transaction.atomic():
        revoke_user_sessions(User.objects.get(pk=user))
        raise RuntimeError("an error after the end")


@page
def feed(request: HttpRequest) -> dict[str, Any]:
    """What the process knows of ended sessions, with no question to the database."""
    known = get_feed()
    return {"complete": known.is_complete, "entries": known.count()}


@page
def mail(request: HttpRequest) -> None:
    send_mail("subject", "text", "site@example.com", ["ada@example.com"])
