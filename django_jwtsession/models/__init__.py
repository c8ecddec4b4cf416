"""The tables, how they are asked, and how they are cleared."""

from __future__ import annotations

from .tables import AbstractSession, MovedSession, Revocation, Session, SessionEvent

__all__ = ["AbstractSession", "MovedSession", "Revocation", "Session", "SessionEvent"]
