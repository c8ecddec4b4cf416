"""Ending sessions for everyone who holds their cookies, and knowing of it."""

from __future__ import annotations

from .ending import (
    arevoke_session,
    arevoke_user_sessions,
    revoke_all_sessions,
    revoke_session,
    revoke_user_sessions,
)

__all__ = [
    "arevoke_session",
    "arevoke_user_sessions",
    "revoke_all_sessions",
    "revoke_session",
    "revoke_user_sessions",
]
