"""Other apps: what they keep in sessions, and columns of theirs that name sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import models

from ..tokens.session_key import LENGTH
from . import engine
from .table import Check

# Apps that count tries, or keep what may be used once, in the session.
_COUNTING = {
    "allauth.account": "allauth",
    "axes": "django-axes",
    "django_otp": "django-otp",
    "formtools": "django-formtools",
    "two_factor": "django-two-factor-auth",
}
_DJANGO_SESSION = "sessions.Session"
_WRITE_SID = "Store request.session.sid there, which has 22 characters and stays the same for the"
_WRITE_SID += " session's life."


def _counting_apps() -> list[str]:
    """Return which apps count or spend in a session that a visitor can bring back as it was."""
    if not engine.is_cookie():
        return []
    return [
        f"{name} counts tries or keeps one-time codes in the session. With the `cookie` engine a"
        " visitor who sends an older cookie again has all tries, and the code, again."
        for app, name in _COUNTING.items()
        if apps.is_installed(app)
    ]


def _fields() -> Iterator[models.Field[Any, Any]]:
    """Yield the columns of all installed models but this package's and other engines' own."""
    for model in apps.get_models(include_auto_created=True):
        fields = model._meta.local_fields
        is_engines = any(field.name == "session_data" for field in fields)
        if model._meta.app_label != "django_jwtsession" and not is_engines:
            yield from fields


def _names_a_session(field: models.Field[Any, Any]) -> bool:
    name = field.name.lower().replace("_", "")
    is_text = isinstance(field, models.CharField | models.TextField)
    return is_text and ("sessionkey" in name or name == "sessionid")


def _columns_of_keys() -> Iterator[str]:
    """Yield the columns into which keys of the engine do not fit, or not for long."""
    for field in filter(_names_a_session, _fields()):
        if engine.is_cookie():
            yield (
                f"{field} is for a session key. With the `cookie` engine that is the whole cookie:"
                " it is too long, and another after each write. An engine with rows has short ones."
            )
        elif engine.is_ours() and (field.max_length or LENGTH) < LENGTH:
            yield (
                f"{field} is for a session key, which has {LENGTH} characters, not"
                f" {field.max_length}."
            )


def _foreign_keys() -> list[str]:
    """Return the foreign keys to Django's table of sessions, where no rows are any more."""
    if not engine.is_ours():
        return []
    return [
        f"{field} points at {_DJANGO_SESSION}, whose table is empty with this SESSION_ENGINE:"
        " nothing can be stored."
        for field in _fields()
        if isinstance(field, models.ForeignKey) and _target(field) == _DJANGO_SESSION
    ]


def _target(field: models.ForeignKey[Any, Any]) -> str:
    target: Any = field.related_model
    return target if isinstance(target, str) else str(target._meta.label)


ALWAYS = (
    Check(
        "W024",
        _counting_apps,
        "Write SESSION_ENGINE = 'django_jwtsession.backends.hybrid', whose row remembers.",
    ),
    Check("W025", _columns_of_keys, _WRITE_SID),
    Check(
        "W026",
        _foreign_keys,
        "Store request.session.sid in a CharField of 22 characters, or point at"
        " 'django_jwtsession.Session' (engines db and hybrid).",
    ),
)
