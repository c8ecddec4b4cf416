"""Every page with people and devices on it, at a time that stands still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from playwright.sync_api import Page

from django_jwtsession.tokens.sid import sid_from_uuid

from .server import Site
from .visits import FIREFOX, IPHONE, card, log_in, press

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"
    " (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15"
    " (KHTML, like Gecko) Version/26.1 Safari/605.1.15"
)
PIXEL = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36"
    " (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36"
)
IPAD = IPHONE.replace("iPhone;", "iPad;").replace("iPhone OS", "OS")
HOUR = 3600
DAY = 24 * HOUR
NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC).timestamp()

# Name of a picture: who sees the page, and where it is.
PAGES = {
    "login": ("nobody", "/login"),
    "signup": ("nobody", "/signup"),
    "home": ("ada", "/"),
    "profile": ("ada", "/profile"),
    "sessions": ("ada", "/sessions/"),
    "history": ("ada", "/sessions/history/"),
    "confirm": ("ada", "/confirm/?next=/sessions/end-others/"),
    "end-others": ("ada", "/sessions/end-others/"),
    "end-all": ("ada", "/sessions/end-all/"),
    "end-session": ("ada", "/sessions/{sid}/end/"),
    "name": ("ada", "/sessions/{sid}/name/"),
    "password": ("ada", "/password"),
    "admin-sessions": ("staff", "/admin/django_jwtsession/session/"),
    "admin-session": ("staff", "/admin/django_jwtsession/session/{session}/change/"),
    "admin-end": ("staff", "/admin/django_jwtsession/session/{session}/delete/"),
    "admin-history": ("staff", "/admin/django_jwtsession/sessionevent/"),
    "admin-event": ("staff", "/admin/django_jwtsession/sessionevent/1/change/"),
    "admin-confirm": ("staff", "/admin/django_jwtsession/session/confirm-login/"),
    "admin-end-user": ("staff", "/admin/django_jwtsession/session/user/1/end/"),
    "admin-user": ("staff", "/admin/auth/user/1/change/"),
}


class Scene:
    """The pages after four days: `show("sessions")` opens one."""

    def __init__(self, site: Site, profile: Callable[..., Page]) -> None:
        for name in ("ada", "grace", "hedy"):
            site.new_user(name)
        site.new_user("staff", staff=True)
        log_in(profile("203.0.113.80", user_agent=IPAD), "ada")
        site.later(HOUR)
        log_in(profile("198.51.100.23", user_agent=CHROME), "grace")
        site.later(DAY)
        log_in(profile("2001:db8:85a3::8a2e:370:7334", user_agent=SAFARI), "ada")
        site.later(HOUR)
        log_in(profile("198.51.100.44", user_agent=PIXEL), "hedy")
        site.later(2 * DAY)
        stranger = profile("192.0.2.66", user_agent=CHROME)
        stranger.goto("/login")
        stranger.get_by_label("Username").fill("ada")
        stranger.get_by_label("Password").fill("ada1815")
        press(stranger, "Sign in")
        site.later(60)
        log_in(profile("198.51.100.7", user_agent=CHROME), "ada")
        site.later(18 * HOUR)
        log_in(profile("203.0.113.9", user_agent=IPHONE), "grace")
        site.later(HOUR)
        log_in(profile("203.0.113.4", user_agent=IPHONE), "ada")
        log_in(profile("203.0.113.5", user_agent=IPHONE), "ada")
        site.later(2 * HOUR)
        ada = log_in(profile("198.51.100.7", user_agent=FIREFOX), "ada", to="/sessions/")
        site.later(60)
        card(ada, "iPadOS").get_by_role("button").click()
        ada.get_by_role("status").wait_for()
        card(ada, "macOS").get_by_role("link", name="Name").click()
        ada.get_by_label("Name of the device").fill("Studio Mac")
        press(ada, "Save")
        site.later(60)
        staff = log_in(profile("192.0.2.9", user_agent=FIREFOX), "staff", to="/admin/")
        site.later(60)
        self._profiles = {"nobody": profile(), "ada": ada, "staff": staff}
        row, *_ = site.sql(
            "SELECT id FROM django_jwtsession_session WHERE os = 'iOS' ORDER BY last_seen_at"
        )
        self._session = row["id"]
        [row] = site.sql("SELECT id FROM django_jwtsession_session WHERE os = 'macOS'")
        self._sid = sid_from_uuid(UUID(row["id"]))

    def show(self, name: str) -> Page:
        """Open a page of PAGES."""
        who, path = PAGES[name]
        page = self._profiles[who]
        response = page.goto(path.format(session=self._session, sid=self._sid))
        assert response is not None
        assert response.ok, response.status
        return page
