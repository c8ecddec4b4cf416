"""Why sessions end: the one table of codes and their words, for history, pages and admin.

Why a token is refused is another question: exceptions.Reason.
"""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import pgettext_lazy


class EndReason(TextChoices):
    """The code that the feed, the history and `session_revoked` carry, and what people read."""

    REVOKED = "revoked", pgettext_lazy("why a session ended", "ended by the site")
    USER = "user", pgettext_lazy("why a session ended", "ended on the page of the user's sessions")
    ADMIN = "admin", pgettext_lazy("why a session ended", "ended in the admin")
    COMMAND = "command", pgettext_lazy("why a session ended", "ended on the command line")
    TOO_MANY = (
        "too many sessions",
        pgettext_lazy("why a session ended", "the user had too many sessions"),
    )
    PASSWORD = "password", pgettext_lazy("why a session ended", "the password was changed")
    DEACTIVATED = "deactivated", pgettext_lazy("why a session ended", "the user was deactivated")
    DELETED = "deleted", pgettext_lazy("why a session ended", "the user was deleted")


def in_words(reason: str) -> str:
    """Return the words for a code; what a project called its own reason stays as it is."""
    words = dict(EndReason.choices).get(reason, reason)
    return str(words)
