"""Ending sessions for everyone who holds their cookies, and knowing of it."""

from __future__ import annotations

from .ending import (
    arevoke_all_sessions,
    arevoke_session,
    arevoke_user_sessions,
    revoke_all_sessions,
    revoke_session,
    revoke_user_sessions,
)
from .feed import get_feed
from .health import FeedHealth, feed_health

__all__ = [
    "FeedHealth",
    "arevoke_all_sessions",
    "arevoke_session",
    "arevoke_user_sessions",
    "feed_health",
    "get_feed",
    "revoke_all_sessions",
    "revoke_session",
    "revoke_user_sessions",
]
