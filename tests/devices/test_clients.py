"""User agents in words, and addresses as they are stored."""

from __future__ import annotations

import time
from typing import Any

import pytest

from django_jwtsession.conf import Config
from django_jwtsession.devices.clients import Device, columns, describe, ip_address, user_agent

WINDOWS = "Windows NT 10.0; Win64; x64"
MAC = "Macintosh; Intel Mac OS X 10_15_7"
IPHONE = "iPhone; CPU iPhone OS 18_6 like Mac OS X"
IPAD = "iPad; CPU OS 18_6 like Mac OS X"
ANDROID = "Linux; Android 10; K"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


def gecko(system: str) -> str:
    return f"Mozilla/5.0 ({system}; rv:149.0) Gecko/20100101 Firefox/149.0"


def chrome(system: str, rest: str = "Safari/537.36", also: str = "") -> str:
    return f"Mozilla/5.0 ({system}) {BLINK} Chrome/149.0.0.0 {rest}{also}"


MOBILE = "Mobile Safari/537.36"
AGENTS = [
    # Windows
    (chrome(WINDOWS), "Chrome 149", "Windows", "desktop"),
    (chrome(WINDOWS, also=" Edg/149.0.0.0"), "Edge 149", "Windows", "desktop"),
    (gecko(WINDOWS), "Firefox 149", "Windows", "desktop"),
    (chrome(WINDOWS, also=" OPR/130.0.0.0"), "Opera 130", "Windows", "desktop"),
    (
        "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
        "Internet Explorer 11",
        "Windows",
        "desktop",
    ),
    # macOS
    (chrome(MAC), "Chrome 149", "macOS", "desktop"),
    (chrome(MAC, also=" Edg/149.0.0.0"), "Edge 149", "macOS", "desktop"),
    (gecko("Macintosh; Intel Mac OS X 10.15"), "Firefox 149", "macOS", "desktop"),
    (f"Mozilla/5.0 ({MAC}) {WEBKIT} Version/26.1 Safari/605.1.15", "Safari 26", "macOS", "desktop"),
    # Linux, BSD, ChromeOS
    (chrome("X11; Linux x86_64"), "Chrome 149", "Linux", "desktop"),
    (chrome("X11; Linux x86_64", also=" Edg/149.0.0.0"), "Edge 149", "Linux", "desktop"),
    (chrome("X11; Linux x86_64", also=" Vivaldi/7.6"), "Vivaldi 7", "Linux", "desktop"),
    (gecko("X11; Linux x86_64"), "Firefox 149", "Linux", "desktop"),
    (gecko("X11; Ubuntu; Linux x86_64"), "Firefox 149", "Ubuntu", "desktop"),
    (gecko("X11; Fedora; Linux x86_64"), "Firefox 149", "Fedora", "desktop"),
    (gecko("X11; FreeBSD amd64"), "Firefox 149", "FreeBSD", "desktop"),
    (
        f"Mozilla/5.0 (X11; Linux x86_64) {BLINK} HeadlessChrome/149.0.0.0 Safari/537.36",
        "Headless Chrome 149",
        "Linux",
        "desktop",
    ),
    (chrome("X11; CrOS x86_64 14541.0.0"), "Chrome 149", "ChromeOS", "desktop"),
    # Android
    (chrome(ANDROID, MOBILE), "Chrome 149", "Android", "phone"),
    (chrome(ANDROID), "Chrome 149", "Android", "tablet"),
    (chrome(ANDROID, MOBILE, " EdgA/149.0.0.0"), "Edge 149", "Android", "phone"),
    (
        "Mozilla/5.0 (Android 16; Mobile; rv:149.0) Gecko/149.0 Firefox/149.0",
        "Firefox 149",
        "Android",
        "phone",
    ),
    (
        "Mozilla/5.0 (Android 16; Tablet; rv:149.0) Gecko/149.0 Firefox/149.0",
        "Firefox 149",
        "Android",
        "tablet",
    ),
    (
        f"Mozilla/5.0 ({ANDROID}) {BLINK} SamsungBrowser/29.0 Chrome/136.0.0.0 {MOBILE}",
        "Samsung Internet 29",
        "Android",
        "phone",
    ),
    (
        f"Mozilla/5.0 (Linux; Android 13; SM-X700) {BLINK} SamsungBrowser/29.0 Chrome/136.0.0.0"
        " Safari/537.36",
        "Samsung Internet 29",
        "Android",
        "tablet",
    ),
    (
        f"Mozilla/5.0 (Linux; Android 16; Pixel 9 Build/BP2A.250805.005; wv) {BLINK} Version/4.0"
        " Chrome/149.0.7000.10 Mobile Safari/537.36",
        "WebView 149",
        "Android",
        "phone",
    ),
    (chrome(ANDROID, MOBILE, " OPR/92.0.0.0"), "Opera 92", "Android", "phone"),
    (chrome(ANDROID, MOBILE, " Vivaldi/7.5"), "Vivaldi 7", "Android", "phone"),
    (chrome(ANDROID, MOBILE, " Ddg/14"), "DuckDuckGo 14", "Android", "phone"),
    (
        f"Mozilla/5.0 (Linux; Android 12; HarmonyOS; NOH-NX9) {BLINK} Chrome/114.0.5735.196"
        f" HuaweiBrowser/15.0.4 {MOBILE}",
        "Huawei Browser 15",
        "Android",
        "phone",
    ),
    (
        "Opera/9.80 (Android; Opera Mini/62.0.2254/191.303; U; en) Presto/2.12.423 Version/12.16",
        "Opera Mini 62",
        "Android",
        "phone",
    ),
    # a phone whose maker's name ends like a crawler's
    (chrome("Linux; Android 11; CUBOT NOTE 20", MOBILE), "Chrome 149", "Android", "phone"),
    # iOS and iPadOS
    (
        f"Mozilla/5.0 ({IPHONE}) {WEBKIT} Version/18.6 Mobile/15E148 Safari/604.1 OPT/5.6.0",
        "Opera 5",
        "iOS",
        "phone",
    ),
    (
        f"Mozilla/5.0 ({IPHONE}) {WEBKIT} Version/26.1 Mobile/15E148 Safari/604.1",
        "Safari 26",
        "iOS",
        "phone",
    ),
    (
        f"Mozilla/5.0 ({IPHONE}) {WEBKIT} CriOS/149.0.7000.50 Mobile/15E148 Safari/604.1",
        "Chrome 149",
        "iOS",
        "phone",
    ),
    (
        f"Mozilla/5.0 ({IPHONE}) {WEBKIT} FxiOS/149.0 Mobile/15E148 Safari/605.1.15",
        "Firefox 149",
        "iOS",
        "phone",
    ),
    (
        f"Mozilla/5.0 ({IPHONE}) {WEBKIT} Version/18.0 EdgiOS/149.0.0.0 Mobile/15E148 Safari/604.1",
        "Edge 149",
        "iOS",
        "phone",
    ),
    (f"Mozilla/5.0 ({IPHONE}) {WEBKIT} Mobile/15E148", "WebView", "iOS", "phone"),
    (
        f"Mozilla/5.0 ({IPHONE}) {WEBKIT} Mobile/22G86 [FBAN/FBIOS;FBAV/480.0.0.30.109;]",
        "Facebook 480",
        "iOS",
        "phone",
    ),
    (
        f"Mozilla/5.0 ({IPAD}) {WEBKIT} Version/26.1 Mobile/15E148 Safari/604.1",
        "Safari 26",
        "iPadOS",
        "tablet",
    ),
    (
        f"Mozilla/5.0 ({IPAD}) {WEBKIT} CriOS/149.0.7000.50 Mobile/15E148 Safari/604.1",
        "Chrome 149",
        "iPadOS",
        "tablet",
    ),
    # iPads that ask for desktop pages: Safari is a Mac's, the others say where they are
    (
        f"Mozilla/5.0 ({MAC}) {WEBKIT} CriOS/149 Version/11.1.1 Safari/605.1.15",
        "Chrome 149",
        "iPadOS",
        "tablet",
    ),
    (
        f"Mozilla/5.0 ({MAC}) {WEBKIT} CriOS/149.0.7000.50 Version/26.0 Mobile/15E148 Safari/604.1",
        "Chrome 149",
        "iPadOS",
        "tablet",
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15) {WEBKIT} FxiOS/149.0 Safari/605.1.15",
        "Firefox 149",
        "iPadOS",
        "tablet",
    ),
    (
        f"Mozilla/5.0 ({MAC}) {WEBKIT} Version/26.0 EdgiOS/149.0.0.0 Safari/605.1.15",
        "Edge 149",
        "iPadOS",
        "tablet",
    ),
    # apps that show pages
    (
        f"Mozilla/5.0 ({IPHONE}) {WEBKIT} Mobile/22G86 Instagram 390.0.0.28.85 (iPhone14,5;"
        " iOS 18_6; en_US; en; scale=3.00; 1170x2532; 1)",
        "Instagram 390",
        "iOS",
        "phone",
    ),
    (
        f"Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A; wv) {BLINK} Version/4.0"
        f" Chrome/149.0.7000.10 {MOBILE} [FB_IAB/FB4A;FBAV/480.0.0.30.109;]",
        "Facebook 480",
        "Android",
        "phone",
    ),
    (f"Mozilla/5.0 ({IPAD}) {WEBKIT} Mobile/15E148", "WebView", "iPadOS", "tablet"),
    # programs
    ("curl/8.5.0", "curl 8", "", "tool"),
    ("Wget/1.21.4", "Wget 1", "", "tool"),
    ("python-requests/2.32.3", "Python Requests 2", "", "tool"),
    ("python-httpx/0.28.1", "python-httpx 0", "", "tool"),
    ("Python-urllib/3.12", "Python-urllib 3", "", "tool"),
    ("okhttp/4.12.0", "okhttp 4", "", "tool"),
    ("Go-http-client/1.1", "Go-http-client 1", "", "tool"),
    ("Java/17.0.10", "Java 17", "", "tool"),
    ("PostmanRuntime/7.43.0", "PostmanRuntime 7", "", "tool"),
    ("Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP1A)", "Dalvik 2", "Android", "tool"),
    ("MyApp/42 CFNetwork/1568.300.101 Darwin/24.2.0", "MyApp 42", "iOS", "tool"),
    (
        "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.4391",
        "WindowsPowerShell 5",
        "Windows",
        "tool",
    ),
    # crawlers
    (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Googlebot",
        "",
        "bot",
    ),
    (
        chrome(
            "Linux; Android 6.0.1; Nexus 5X Build/MMB29P",
            MOBILE,
            " (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        ),
        "Googlebot",
        "",
        "bot",
    ),
    (
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "bingbot",
        "",
        "bot",
    ),
    (
        f"Mozilla/5.0 ({MAC}) {WEBKIT} Version/13.1.1 Safari/605.1.15"
        " (Applebot/0.1; +http://www.apple.com/go/applebot)",
        "Applebot",
        "",
        "bot",
    ),
    ("Twitterbot/1.0", "Twitterbot", "", "bot"),
    # nothing that could be named
    ("", "", "", ""),
    ("Mozilla/5.0", "", "", ""),
    ("\x00\x01 \x7f" * 2500, "", "", ""),
    ("A" * 10_000, "", "", ""),
]


@pytest.mark.parametrize(("agent", "browser", "os", "kind"), AGENTS)
def test_user_agents_are_described_in_the_words_people_use(
    agent: str, browser: str, os: str, kind: str
) -> None:
    assert describe(agent) == Device(browser, os, kind)


def test_ten_kilobytes_of_junk_cost_milliseconds() -> None:
    describe("warm")
    began = time.thread_time()
    describe("Mozilla/5.0 (" + "; x" * 3000)
    assert time.thread_time() - began < 0.2


def test_stored_user_agent_is_printable_and_512_characters_at_most() -> None:
    assert user_agent({"HTTP_USER_AGENT": "curl\x00\x1b[31m/8"}) == "curl[31m/8"
    assert len(user_agent({"HTTP_USER_AGENT": "A" * 10_000})) == 512
    assert user_agent({}) == ""


def address(config: Config | None = None, remote: str = "192.0.2.1", **meta: Any) -> str | None:
    return ip_address({"REMOTE_ADDR": remote} | meta, config or Config())


@pytest.mark.parametrize(
    "spoofed", ["198.51.100.7", "1.1.1.1, 2.2.2.2", "", "::1", "unknown", "," * 5000]
)
def test_forwarded_header_changes_nothing_without_trusted_proxies(spoofed: str) -> None:
    assert address(HTTP_X_FORWARDED_FOR=spoofed) == "192.0.2.1"
    assert address(HTTP_X_REAL_IP=spoofed, HTTP_FORWARDED=f"for={spoofed}") == "192.0.2.1"


@pytest.mark.parametrize(
    ("count", "forwarded", "expected"),
    [
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (2, "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "6.6.6.6,198.51.100.7,10.0.0.2", "198.51.100.7"),
        # A request that did not come through all of one's own proxies.
        (2, "198.51.100.7", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, " 198.51.100.7:50123 ", "198.51.100.7"),
        (1, "[2001:db8::1]:50123", "2001:db8::1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "2001:DB8:0:0::1", "2001:db8::1"),
        (1, "unknown", None),
        (1, "_hidden", None),
        (1, "198.51.100.7.evil.example", None),
    ],
)
def test_address_is_what_the_outermost_trusted_proxy_saw(
    count: int, forwarded: str, expected: str | None
) -> None:
    config = Config(trusted_proxy_count=count)
    assert address(config, HTTP_X_FORWARDED_FOR=forwarded) == expected


def test_proxied_request_without_the_header_is_its_senders() -> None:
    assert address(Config(trusted_proxy_count=1)) == "192.0.2.1"


@pytest.mark.parametrize(
    ("remote", "full", "prefix"),
    [
        ("192.0.2.77", "192.0.2.77", "192.0.2.0"),
        ("2001:db8:aaaa:bbbb::1", "2001:db8:aaaa:bbbb::1", "2001:db8:aaaa::"),
        ("::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0"),
        ("fe80::1%eth0", "fe80::1", "fe80::"),
        ("", None, None),
        ("unix:", None, None),
    ],
)
def test_address_is_stored_in_full_as_prefix_or_not_at_all(
    remote: str, full: str | None, prefix: str | None
) -> None:
    assert address(Config(), remote) == full
    assert address(Config(store_ip="prefix"), remote) == prefix
    assert address(Config(store_ip=False), remote) is None


def test_columns_fit_their_table() -> None:
    from django_jwtsession.models import Session

    row = columns({"HTTP_USER_AGENT": "x" * 9000 + "/1", "REMOTE_ADDR": "::1"}, Config())
    Session(expires_at="2030-01-01T00:00Z", data=b"x", **row).clean_fields()
