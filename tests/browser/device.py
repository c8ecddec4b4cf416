"""Chromium as it binds sessions, with its keys in software."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .server import Site
from .tls import fingerprint

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

PROOF = "__Host-dbsc"
_FEATURES = (
    "DeviceBoundSessions:RefreshQuota/false",  # else six signatures in nine minutes
    "EnableBoundSessionCredentialsSoftwareKeysForManualTesting",
)


def flags(certificate: Path) -> list[str]:
    """Return what Chromium needs to bind sessions of a site with this certificate.

    With --ignore-certificate-errors, or Playwright's option for that, it binds none.
    """
    return [
        f"--enable-features={','.join(_FEATURES)}",
        f"--ignore-certificate-errors-spki-list={fingerprint(certificate)}",
        "--host-resolver-rules=MAP dbsc.test 127.0.0.1",
    ]


class Device:
    """One profile on a site."""

    def __init__(self, context: BrowserContext, site: Site) -> None:
        self.context = context
        self.page = context.new_page()
        self._site, self.url = site, site.named
        self._events: list[dict[str, Any]] = []
        devtools = context.new_cdp_session(self.page)
        devtools.on("Network.deviceBoundSessionEventOccurred", lambda e: self._events.append(e))
        devtools.send("Network.enable")
        devtools.send("Network.enableDeviceBoundSessions", {"enable": True})

    def log_in(self, user: str, to: str = "/profile") -> Device:
        """Log in, and wait until the session is bound."""
        from .visits import log_in  # which needs Playwright, as `make test` does not

        before = len(self.created)
        log_in(self.page, user, to)
        self.wait(lambda: len(self.created) > before)
        return self

    def read(self, path: str) -> str:
        """Open a page; return what it says."""
        self.page.goto(path)
        return self.page.inner_text("body")

    def follow(self, path: str) -> None:
        """Follow a link to a page of the site that another site has."""
        self.page.goto(f"{self._site.other_site}/kept")
        self.page.set_content(f"<a href='{self.url}{path}'>a link</a>")
        self.page.get_by_role("link").click()

    # --- cookies ----------------------------------------------------------------------------------

    def cookie(self, name: str) -> Any:
        """Return a cookie, None for none."""
        found = [cookie for cookie in self.context.cookies(self.url) if cookie["name"] == name]
        return found[0] if found else None

    def take_cookies_of(self, other: Device) -> None:
        copied: Any = other.context.cookies(self.url)
        self.context.add_cookies(copied)

    def lose_proof(self) -> None:
        """Let the proof's cookie end, as it does by itself after its Max-Age."""
        self.context.clear_cookies(name=PROOF)

    # --- what the developer tools tell ------------------------------------------------------------

    @property
    def created(self) -> list[dict[str, Any]]:
        """The bindings that were made."""
        return [e for e in self._details("creation") if e["fetchResult"] == "Success"]

    @property
    def refreshed(self) -> list[dict[str, Any]]:
        """The proofs that were given, but for the first of each binding."""
        return [e for e in self._details("refresh") if e["refreshResult"] == "Refreshed"]

    @property
    def ended(self) -> list[str]:
        """Why bindings have ended."""
        return [each["deletionReason"] for each in self._details("termination")]

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; fail after ten seconds."""
        for _ in range(500):
            if condition():
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"not in ten seconds; {self._events}")

    def _details(self, kind: str) -> list[dict[str, Any]]:
        name = f"{kind}EventDetails"
        return [event[name] for event in self._events if name in event]
