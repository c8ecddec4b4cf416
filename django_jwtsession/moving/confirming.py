"""The browser has the new cookie of a session that has moved: soon the old one leads nowhere."""

from __future__ import annotations

from typing import Any

from . import notes
from .notes import MOVED_KEY


def is_due(session: Any) -> bool:
    """Tell whether this request is the first that has come with the new cookie."""
    data = session.__dict__.get("_session_cache")
    return bool(data) and MOVED_KEY in data and not hasattr(session, "leads_from")


def confirm(session: Any) -> None:
    """Note it, and take the mark out of the session's data."""
    notes.confirm(session.get(MOVED_KEY))
    session.pop(MOVED_KEY, None)
