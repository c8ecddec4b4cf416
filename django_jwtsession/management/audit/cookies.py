"""ASVS 5.0.0 V3.3: the session cookie, and those that this package sets beside it."""

from __future__ import annotations

from django.conf import settings

from ...checks.cookie import name_prefix, unkept_promises
from .requirement import Finding, Requirement, met, not_met, of_engine, yours
from .site import Site

_MIDDLEWARE = "django.middleware."


def _others() -> tuple[str, ...]:
    """Return the prefixes of the settings of Django's own cookies that this site sends."""
    csrf = f"{_MIDDLEWARE}csrf.CsrfViewMiddleware" in settings.MIDDLEWARE
    language = f"{_MIDDLEWARE}locale.LocaleMiddleware" in settings.MIDDLEWARE
    found = ("CSRF",) if csrf and not settings.CSRF_USE_SESSIONS else ()
    return (*found, "LANGUAGE") if language else found


def _beside(finding: Finding, setting: str, fails: str) -> Finding:
    """Add what Django's other cookies leave open; the verdict is of the session cookie."""
    open_ones = tuple(
        f"{name}_COOKIE_{setting} {fails}."
        for name in _others()
        if not getattr(settings, f"{name}_COOKIE_{setting}")
    )
    return Finding(finding.verdict, finding.setting, finding.why, finding.write, open_ones)


def _secure(site: Site) -> Finding:
    return _beside(_secure_session(), "SECURE", "is off: that cookie travels over plain http")


def _secure_session() -> Finding:
    name = settings.SESSION_COOKIE_NAME
    if not settings.SESSION_COOKIE_SECURE:
        return not_met(
            "SESSION_COOKIE_SECURE",
            "The session cookie also travels over plain http.",
            "SESSION_COOKIE_SECURE = True",
        )
    if not name_prefix():
        return not_met(
            "SESSION_COOKIE_NAME",
            f"{name!r} has no prefix that makes browsers refuse a cookie from plain http.",
            f'SESSION_COOKIE_NAME = "__Host-{name}"; with JWTSESSION["COOKIE_WAS"] nobody is'
            " logged out",
        )
    if broken := unkept_promises():
        return not_met("SESSION_COOKIE_NAME", broken[0], "What that says.")
    return met("SESSION_COOKIE_NAME", f"{name!r} is Secure, and its prefix says so.")


def _samesite(site: Site) -> Finding:
    value = settings.SESSION_COOKIE_SAMESITE
    if str(value).lower() in ("lax", "strict"):
        return met("SESSION_COOKIE_SAMESITE", f"{value}: other sites' forms come without it.")
    return not_met(
        "SESSION_COOKIE_SAMESITE",
        f"{value}: the cookie goes along with other sites' requests, in some browsers or all.",
        'SESSION_COOKIE_SAMESITE = "Lax", or the reason why other sites embed this one',
    )


def _host_prefix(site: Site) -> Finding:
    name, domain = settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_DOMAIN
    if broken := unkept_promises():
        return not_met("SESSION_COOKIE_NAME", broken[0], "What that says.")
    if name_prefix().startswith("__host-"):
        return met("SESSION_COOKIE_NAME", f"{name!r}: no other host can set or read it.")
    if domain:
        return yours(
            "SESSION_COOKIE_DOMAIN",
            f"The cookie is shared with all hosts of {domain}, which can read and set it.",
            "Say why in your papers, or SESSION_COOKIE_DOMAIN = None and a name with __Host-",
        )
    return not_met(
        "SESSION_COOKIE_NAME",
        f"{name!r}: another host of the domain can set a cookie of this name.",
        f'SESSION_COOKIE_NAME = "__Host-{name}", SESSION_COOKIE_PATH = "/"',
    )


def _httponly(site: Site) -> Finding:
    if settings.SESSION_COOKIE_HTTPONLY:
        why = "HttpOnly; the pages and their JSON show the sid, which opens nothing."
        return met("SESSION_COOKIE_HTTPONLY", why)
    return not_met(
        "SESSION_COOKIE_HTTPONLY",
        "Scripts of the page can read the session cookie.",
        "SESSION_COOKIE_HTTPONLY = True",
    )


def _size(site: Site) -> Finding:
    if site.engine == "django":
        return met("SESSION_ENGINE", "The cookie holds a key of 32 characters.")
    if site.engine == "signed_cookies":
        return not_met(
            "SESSION_ENGINE",
            "Nothing keeps Django's signed_cookies under the 4096 bytes that browsers take.",
            "SESSION_ENGINE = 'django_jwtsession.backends.hybrid'",
        )
    return of_engine(_measured)(site)


def _measured(site: Site) -> Finding:
    most = site.config.max_cookie_size
    return met('JWTSESSION["MAX_COOKIE_SIZE"]', f"No cookie of more than {most} bytes is sent.")


REQUIREMENTS = (
    Requirement("3.3.1", 1, "The cookie is Secure, its name begins with __Host- or so", _secure),
    Requirement("3.3.2", 2, "SameSite is as the cookie's purpose needs it", _samesite),
    Requirement("3.3.3", 2, "The name begins with __Host- unless hosts share it", _host_prefix),
    Requirement("3.3.4", 2, "HttpOnly, and the token is sent in Set-Cookie alone", _httponly),
    Requirement("3.3.5", 3, "Name and value have 4096 bytes at most", _size),
)
