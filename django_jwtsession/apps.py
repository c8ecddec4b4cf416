"""The app; its label is part of table names and never changes."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.utils.translation import pgettext_lazy


class JWTSessionConfig(AppConfig):
    name = "django_jwtsession"
    verbose_name = pgettext_lazy("sessions", "Sessions")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401  # registers them
        from .history import events
        from .history import mails as alarms
        from .receivers import on_login, on_login_failed, on_logout
        from .revocation import accounts
        from .signals import new_device, token_reused

        user_logged_in.connect(on_login, dispatch_uid="django_jwtsession")
        user_logged_out.connect(on_logout, dispatch_uid="django_jwtsession")
        user_login_failed.connect(on_login_failed, dispatch_uid="django_jwtsession")
        new_device.connect(alarms.on_new_device, dispatch_uid="django_jwtsession")
        token_reused.connect(alarms.on_token_reused, dispatch_uid="django_jwtsession")
        accounts.watch(get_user_model())
        if apps.is_installed("impersonate"):  # which logs nobody in
            begun = import_module("impersonate.signals").session_begin
            begun.connect(events.note_takeover, dispatch_uid="django_jwtsession")
