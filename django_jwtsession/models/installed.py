"""Whether the app is installed, asked before its models are made."""

from __future__ import annotations

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError


class NotInstalled(ImproperlyConfigured, CommandError):
    """The app is not in INSTALLED_APPS.

    As a CommandError it is one line of `manage.py`, not a traceback.
    """


def require_app() -> None:
    """Raise NotInstalled if the models would belong to no app."""
    if apps.apps_ready and not apps.is_installed("django_jwtsession"):
        raise NotInstalled(
            'Write "django_jwtsession" into INSTALLED_APPS: its middleware, engines and pages need'
            " the app."
        )
