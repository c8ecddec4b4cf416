"""The models, asked of Django's registry when they are needed.

So engines, middleware and history can be imported before the models are made, and no import goes in
a circle by way of `Session.objects...revoke()`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings


def session_model(store: Any = None) -> Any:
    """Return the model of `store`, the site's engine by default; Session where it has no rows."""
    store = store or import_module(settings.SESSION_ENGINE).SessionStore
    model = store.get_model_class() if hasattr(store, "get_model_class") else None
    ours = hasattr(model, "own_columns")  # an AbstractSession: Django's own engine has a model too
    return model if ours else _model("Session")


def event_model() -> Any:
    """Return SessionEvent."""
    return _model("SessionEvent")


def revocation_model() -> Any:
    """Return Revocation."""
    return _model("Revocation")


def moved_model() -> Any:
    """Return MovedSession."""
    return _model("MovedSession")


def _model(name: str) -> Any:
    return apps.get_model("django_jwtsession", name)
