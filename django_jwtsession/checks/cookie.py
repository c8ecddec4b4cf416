"""The session cookie: what browsers refuse, and what they show to others."""

from __future__ import annotations

import re

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from ..conf import Config
from . import engine
from .table import Check, when
from .values import if_config

# nginx reads an answer's headers into 4 KB (8 on some machines), uWSGI all of a request's: a cookie
# of this length leaves a quarter of it to the others.
_FITS_PROXIES = 3072

# What Python's http.cookies takes for the name of a cookie: a token (RFC 6265 4.1.1), or a colon.
_is_name = re.compile(r"[\w!#$%&'*+.^`|~:-]+", re.ASCII).fullmatch


def _has_no_name() -> bool:
    name = settings.SESSION_COOKIE_NAME
    return not isinstance(name, str) or _is_name(name) is None


def name_prefix() -> str:
    """Return the prefix of the cookie's name; browsers compare it in any case."""
    name = str(settings.SESSION_COOKIE_NAME).lower()
    prefixes = ("__host-http-", "__host-", "__http-", "__secure-")
    return next((prefix for prefix in prefixes if name.startswith(prefix)), "")


def unkept_promises() -> list[str]:
    """Return what the name's prefix promises and the settings do not keep (RFC 6265bis 4.1.3)."""
    prefix, name = name_prefix(), settings.SESSION_COOKIE_NAME
    host, http = prefix.startswith("__host-"), prefix.endswith("http-")
    rules = (
        (bool(prefix) and not settings.SESSION_COOKIE_SECURE, "SESSION_COOKIE_SECURE = True"),
        (host and settings.SESSION_COOKIE_DOMAIN, "SESSION_COOKIE_DOMAIN = None"),
        (host and settings.SESSION_COOKIE_PATH != "/", 'SESSION_COOKIE_PATH = "/"'),
        (http and not settings.SESSION_COOKIE_HTTPONLY, "SESSION_COOKIE_HTTPONLY = True"),
    )
    return [
        f"Browsers refuse a cookie named {name!r} with these settings, so nobody can log in."
        f" Write {write}, or choose a name without the prefix."
        for broken, write in rules
        if broken
    ]


def _is_samesite_none() -> bool:
    return str(settings.SESSION_COOKIE_SAMESITE).lower() == "none"


def _is_samesite_none_on_http() -> bool:
    return _is_samesite_none() and not settings.SESSION_COOKIE_SECURE


def _is_without_samesite() -> bool:
    return not settings.SESSION_COOKIE_SAMESITE


def _could_have_host_prefix() -> bool:
    return (
        bool(settings.SESSION_COOKIE_SECURE)
        and not settings.SESSION_COOKIE_DOMAIN
        and settings.SESSION_COOKIE_PATH == "/"
        and not name_prefix()
    )


def _could_have_secure_prefix() -> bool:
    domain, secure = settings.SESSION_COOKIE_DOMAIN, settings.SESSION_COOKIE_SECURE
    return bool(domain and secure) and not name_prefix()


def _is_jwks_without_audience(config: Config) -> bool:
    try:
        reverse("jwtsession_jwks")
    except NoReverseMatch:
        return False
    return config.audience is None and bool(config.codec.keys.jwks["keys"])


def _may_overfill_proxies(config: Config) -> bool:
    return engine.has_data_in_cookie() and config.max_cookie_size > _FITS_PROXIES


ALWAYS = (
    Check("E005", unkept_promises),
    Check(
        "E015",
        when(
            _has_no_name,
            "SESSION_COOKIE_NAME is no name that a cookie can have, so nobody can log in.",
        ),
        'Write letters, digits, hyphens or underscores, such as "sessionid".',
    ),
    Check(
        "E010",
        when(
            _is_samesite_none_on_http,
            "Browsers refuse a cookie with SameSite=None that is not Secure, so nobody can log in.",
        ),
        'Write SESSION_COOKIE_SECURE = True, or SESSION_COOKIE_SAMESITE = "Lax".',
    ),
)

DEPLOY = (
    Check(
        "W010",
        when(
            lambda: not settings.SESSION_COOKIE_SECURE,
            "The session cookie also travels over plain http, where anyone can read it.",
        ),
        "Write SESSION_COOKIE_SECURE = True.",
    ),
    Check(
        "W011",
        when(
            lambda: not settings.SESSION_COOKIE_HTTPONLY,
            "Scripts of the page can read the session cookie.",
        ),
        "Write SESSION_COOKIE_HTTPONLY = True.",
    ),
    Check(
        "W012",
        when(
            _could_have_host_prefix,
            "Other subdomains can set a session cookie for this site: its name has no prefix that"
            " makes browsers refuse theirs.",
        ),
        'Write SESSION_COOKIE_NAME = "__Host-sessionid", and JWTSESSION["COOKIE_WAS"] ='
        ' [{"name": "sessionid"}], so that nobody is logged out.',
    ),
    Check(
        "W013",
        when(
            _is_samesite_none,
            'SESSION_COOKIE_SAMESITE is "None": the session cookie goes along with the requests of'
            " other sites' pages.",
        ),
        'Write SESSION_COOKIE_SAMESITE = "Lax", unless other sites have this one in a frame.',
    ),
    Check(
        "W014",
        when(
            _is_without_samesite,
            "SESSION_COOKIE_SAMESITE is off: what other sites' pages may do with the session cookie"
            " depends on the browser.",
        ),
        'Write SESSION_COOKIE_SAMESITE = "Lax".',
    ),
    Check(
        "W015",
        when(
            _could_have_secure_prefix,
            "Whoever speaks for a subdomain over plain http can set a session cookie for this site:"
            " its name has no prefix that makes browsers refuse theirs.",
        ),
        'Write SESSION_COOKIE_NAME = "__Secure-sessionid", and JWTSESSION["COOKIE_WAS"] ='
        ' [{"name": "sessionid"}], so that nobody is logged out.',
    ),
    Check(
        "W016",
        when(
            if_config(_is_jwks_without_audience),
            "Other systems read the tokens by the public keys of .well-known/jwks.json, and nothing"
            " in a token says for whom it is meant.",
        ),
        'Write JWTSESSION["AUDIENCE"], such as the address of this site.',
    ),
    Check(
        "I002",
        when(
            if_config(_may_overfill_proxies),
            "A session cookie may have 4096 bytes, as much as nginx and uWSGI take for all headers"
            " by default: a large session would be answered with 502.",
        ),
        "Raise their limits (nginx: proxy_buffer_size 16k; uWSGI: buffer-size = 16384), or write"
        f' JWTSESSION["MAX_COOKIE_SIZE"] = {_FITS_PROXIES}.',
    ),
)
