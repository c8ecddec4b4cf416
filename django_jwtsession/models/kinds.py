"""What the login history tells of: the kinds of SessionEvent."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class EventKind(TextChoices):
    """The code that `SessionEvent.kind` holds, and what people read."""

    LOGIN = "login", _("signed in")
    LOGOUT = "logout", _("signed out")
    LOGIN_FAILED = "login_failed", _("sign-in failed")
    REVOKED = "revoked", _("ended")
    TOKEN_REUSE = "token_reuse", _("old copy of the cookie used")
    NEW_DEVICE = "new_device", _("new device")
    CHANGED = "changed", _("device or address changed")
    NAMED = "named", _("device named")
    TAKEOVER = "takeover", _("taken over by staff")
    BOUND = "bound", _("bound to the device")
    BINDING_FAILED = "binding_failed", _("the device's key was not proved")
