"""What a request tells of its device: address, user agent, and the words people use for both."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext

from .conf import Config

_MAX_USER_AGENT = 512
_MAX_WORDS = 64


@dataclass(frozen=True)
class Device:
    """A user agent in words: "Firefox 149", "Ubuntu", and "desktop", "phone", "tablet" or "bot"."""

    browser: str = ""
    os: str = ""
    kind: str = ""


def columns(environ: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Return the device columns of a session's row for a request's META."""
    agent = user_agent(environ)
    device = describe(agent)
    return {
        "ip_address": ip_address(environ, config),
        "user_agent": agent,
        "browser": device.browser,
        "os": device.os,
        "device": device.kind,
    }


def user_agent(environ: Mapping[str, Any]) -> str:
    """Return the User-Agent as stored: printable, 512 characters at most."""
    value = str(environ.get("HTTP_USER_AGENT", ""))[:_MAX_USER_AGENT]
    return "".join(character for character in value if character.isprintable())


def ip_address(environ: Mapping[str, Any], config: Config) -> str | None:
    """Return the client's address as STORE_IP wants it stored, None where there is none.

    X-Forwarded-For counts only as far as TRUSTED_PROXY_COUNT proxies of one's own have written it:
    with n of them, the n-th address from the right is what the outermost saw. A request that came
    past them has fewer, and REMOTE_ADDR is its sender.
    """
    if not config.store_ip:
        return None
    value = str(environ.get("REMOTE_ADDR", ""))
    if hops := config.trusted_proxy_count:
        forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
        if len(forwarded) >= hops and forwarded[-hops].strip():
            value = forwarded[-hops]
    address = normal_ip(value)
    return None if address is None else stored_ip(address, config)


def normal_ip(value: str) -> str | None:
    """Return the one spelling of an address, without port and zone; None for what is none."""
    try:
        address = ipaddress.ip_address(_without_port(value))
    except ValueError:  # "unknown", a Unix socket
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)


def stored_ip(address: str, config: Config) -> str | None:
    """Return what STORE_IP keeps of a normal address: all, its /24 or /48, or None."""
    if config.store_ip == "prefix":
        length = 48 if ":" in address else 24
        return str(ipaddress.ip_network((address, length), strict=False).network_address)
    return address if config.store_ip else None


def _without_port(value: str) -> str:
    """Return the address in "192.0.2.1:443", "[2001:db8::1]:443" or "fe80::1%eth0"."""
    value = value.strip()[:_MAX_WORDS]
    if value.startswith("["):
        value = value[1:].partition("]")[0]
    elif value.count(":") == 1:
        value = value.partition(":")[0]
    return value.partition("%")[0]


def describe(agent: str) -> Device:
    """Return the words for a user agent, as ua-parser finds them; empty where it finds none.

    Only the first 512 characters count: more is not stored, and parsing takes time by length.
    """
    return _describe(agent[:_MAX_USER_AGENT])


@lru_cache(maxsize=1024)
def _describe(agent: str) -> Device:
    if not agent:
        return Device()
    from ua_parser import parse

    result = parse(agent)
    browser, os, device = result.user_agent, result.os, result.device
    if device and device.family == "Spider":
        return Device(_words(browser.family if browser else None, None), "", "bot")
    return Device(
        browser=_words(browser.family, browser.major) if browser else _product(agent),
        os="iPadOS" if "iPad" in agent else _words(os.family if os else None, None),
        kind=_kind(agent),
    )


def words(browser: str, os: str) -> str:
    """Return a device as people say it: "Firefox 149 on Ubuntu"."""
    if browser and os:
        return gettext("%(browser)s on %(os)s") % {"browser": browser, "os": os}
    return browser or os or gettext("Unknown device")


def warm() -> None:
    """Load ua-parser's tables, some 170 ms, before a login has to."""
    describe("Mozilla/5.0 (X11; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0")


# ua-parser tells builds of one browser apart that have one name for the people who use them.
_NAMES = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "WebView",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "HeadlessChrome": "Headless Chrome",
    "IE": "Internet Explorer",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "WebView",
    "Opera Mobile": "Opera",
    # systems
    "Chrome OS": "ChromeOS",
    "Mac OS X": "macOS",
}
# The words by which most rows can be told apart, for filters that cannot ask a large table.
BROWSERS = ("Chrome", "Edge", "Firefox", "Opera", "Safari", "Samsung Internet", "WebView")
SYSTEMS = ("Android", "ChromeOS", "iOS", "iPadOS", "Linux", "macOS", "Ubuntu", "Windows")


def _words(family: str | None, version: str | None) -> str:
    if not family or family == "Other":
        return ""
    name = _NAMES.get(family, family)
    return f"{name} {version}"[:_MAX_WORDS] if version else name[:_MAX_WORDS]


_match_product = re.compile(r"(?!Mozilla)([A-Za-z][\w.-]*)/(\d+)", re.ASCII).match


def _product(agent: str) -> str:
    """Return the name of a program that ua-parser does not know: "httpx 1" of "httpx/1.2"."""
    match = _match_product(agent)
    return _words(match[1], match[2]) if match else ""


def _kind(agent: str) -> str:
    if "iPad" in agent or ("Android" in agent and "Mobile" not in agent):
        return "tablet"
    if "Mobi" in agent or "iPhone" in agent:
        return "phone"
    names = ("Windows", "Macintosh", "X11", "Linux")
    return "desktop" if any(name in agent for name in names) else ""
