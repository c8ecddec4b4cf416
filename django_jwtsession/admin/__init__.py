"""What staff see: the sessions, their history, and ending them."""

from __future__ import annotations

from .events import SessionEventAdmin
from .sessions import SessionAdmin, SessionsLinkMixin
from .stepup import FreshLoginAdminMixin

__all__ = ["FreshLoginAdminMixin", "SessionAdmin", "SessionEventAdmin", "SessionsLinkMixin"]
