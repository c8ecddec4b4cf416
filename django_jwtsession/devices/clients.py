"""What a request tells of its device: address, user agent, and the words people use for both."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core import signing
from django.utils.translation import gettext

from ..conf import Config
from .agents import parse

_MAX_USER_AGENT = 512
_MAX_WORDS = 64


@dataclass(frozen=True)
class Device:
    """A user agent in words: "Firefox 149", "Ubuntu", and what kind of device it is.

    The kind is "desktop", "phone", "tablet", "bot" (a crawler), "tool" (curl, a script, an app that
    asks by itself), or "" where nobody can tell.
    """

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


# The name that a user gave the device, as its browser remembers it: see pages/names.py.
LONGEST_NAME = 40


def name_cookie() -> str:
    """Return the name of the cookie."""
    return f"{settings.SESSION_COOKIE_NAME}-device"


def name_salt(user: Any) -> str:
    """Return the salt of its signature: what one user called a device is not for another."""
    return f"django_jwtsession.device-name.{user.pk}"


def remembered_name(cookies: Mapping[str, str], user: Any) -> dict[str, str]:
    """Return {"name": ..} where the browser knows the user's name for its device, else {}."""
    cookie = cookies.get(name_cookie())
    if not cookie:
        return {}
    try:
        name = signing.loads(cookie, salt=name_salt(user))
    except signing.BadSignature:
        return {}
    return {"name": name} if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME else {}


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
        return prefix(address)
    return address if config.store_ip else None


def prefix(address: str) -> str:
    """Return the /24 or /48 of a normal address."""
    length = 48 if ":" in address else 24
    return str(ipaddress.ip_network((address, length), strict=False).network_address)


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
    result = parse(agent)
    browser = result.browser
    family, version = (browser.family, browser.major) if browser else ("", None)
    is_tool = _is_tool(agent)
    if not is_tool and (result.is_crawler or family.lower().endswith("bot")):
        return Device(_words(family, None), "", "bot")
    return Device(
        browser=_renamed(agent) or _words(family, version) or _product(agent),
        os="iPadOS" if _is_ipad(agent) else _words(result.os.family if result.os else None, None),
        kind="tool" if is_tool else _kind(agent),
    )


def words(browser: str, os: str) -> str:
    """Return a device as people say it: "Firefox 149 on Ubuntu"."""
    if browser and os:
        return gettext("%(browser)s on %(os)s") % {"browser": browser, "os": os}
    return browser or os or gettext("Unknown device")


def warm() -> None:
    """Load ua-parser's tables, some 70 ms, before a login has to."""
    describe("Mozilla/5.0 (X11; Linux x86_64; rv:149.0) Gecko/20100101 Firefox/149.0")


# ua-parser tells builds of one browser apart that have one name for the people who use them.
_NAMES = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "WebView",
    "DuckDuckGo Mobile": "DuckDuckGo",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "HeadlessChrome": "Headless Chrome",
    "IE": "Internet Explorer",
    "MiuiBrowser": "Mi Browser",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "WebView",
    "Opera Mobile": "Opera",
    "Opera Touch": "Opera",
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


# Browsers that ua-parser takes for the Chrome that they are made of, and Android's own programs.
_find_renamed = re.compile(r"\b(Dalvik|HuaweiBrowser|Vivaldi)/(\d+)", re.ASCII).search
_RENAMED = {"HuaweiBrowser": "Huawei Browser"}


def _renamed(agent: str) -> str:
    match = _find_renamed(agent)
    return _words(_RENAMED.get(match[1], match[1]), match[2]) if match else ""


_match_product = re.compile(r"(?!Mozilla)([A-Za-z][\w.-]*)/(\d+)", re.ASCII).match


def _product(agent: str) -> str:
    """Return the name of a program that ua-parser does not know: "httpx 1" of "httpx/1.2"."""
    match = _match_product(agent)
    return _words(match[1], match[2]) if match else ""


# Browsers for people say "Mozilla" first, or "Opera"; crawlers say what they are.
_match_person = re.compile(r"Mozilla|Opera|Lynx|w3m|ELinks|Links", re.ASCII).match
_find_crawler = re.compile(
    r"bot\b|bot[/-]|crawl|spider|slurp|externalhit|archiver|preview", re.ASCII | re.IGNORECASE
).search


def _is_tool(agent: str) -> bool:
    """Tell whether a program asks that somebody has written or called: no browser, no crawler."""
    if "PowerShell/" in agent:
        return True
    return bool(_product(agent)) and not _match_person(agent) and not _find_crawler(agent)


def _is_ipad(agent: str) -> bool:
    """Tell an iPad, also where it asks for desktop pages: there its browsers say "Macintosh".

    Safari says nothing else then, and is a Mac's.
    """
    on_ios = any(name in agent for name in ("CriOS/", "FxiOS/", "EdgiOS/", "OPiOS/", "OPT/"))
    return "iPad" in agent or (on_ios and "Macintosh" in agent)


def _kind(agent: str) -> str:
    if "Opera Mini" in agent or "iPhone" in agent:
        return "phone"
    if _is_ipad(agent) or ("Android" in agent and "Mobile" not in agent):
        return "tablet"
    if "Mobi" in agent:
        return "phone"
    names = ("Windows", "Macintosh", "X11", "Linux")
    return "desktop" if any(name in agent for name in names) else ""
