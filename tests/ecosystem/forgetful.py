"""`hybrid` in which each request meets another worker: nobody remembers what the process wrote."""

from __future__ import annotations

from typing import Any

from django_jwtsession.backends import hybrid
from django_jwtsession.backends.process import superseded, written


class SessionStore(hybrid.SessionStore):
    """Forgets what other sessions objects of the process have written."""

    def __init__(self, session_key: Any = None) -> None:
        written.forget()
        superseded.forget()
        super().__init__(session_key)
