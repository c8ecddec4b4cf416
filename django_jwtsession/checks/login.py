"""The pages: whether those that the settings name exist, and whether there is one login."""

from __future__ import annotations

from django.conf import settings
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse

from ..conf import Config
from . import engine
from .table import Check, when
from .values import if_config


def _exists(name: str) -> bool:
    try:
        reverse(name)
    except NoReverseMatch:
        return False
    return True


def _resolves(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def _leads_nowhere(setting: str) -> bool:
    """Tell whether a setting that names a page of this site names none."""
    try:
        url = resolve_url(getattr(settings, setting))
    except NoReverseMatch:
        return True
    if not url.startswith("/") or url.startswith("//"):
        return False  # of another site
    path = "/" + url.partition("?")[0].removeprefix(get_script_prefix()).lstrip("/")
    # With a slash as CommonMiddleware adds it, or with a language as LocaleMiddleware does.
    tries = (path, f"{path}/", f"/{settings.LANGUAGE_CODE}{path}")
    return not any(map(_resolves, tries))


def _pages_that_lead_nowhere() -> list[str]:
    """Return which settings name no page, of those that our own pages go to."""
    if not engine.is_ours():
        return []
    found = []
    if _exists("jwtsession:sessions") and _leads_nowhere("LOGIN_URL"):
        write = '"jwtsession:login"' if _exists("jwtsession:login") else "the name of your login"
        found.append(f"LOGIN_URL is no page of this site. Write LOGIN_URL = {write}.")
    if _exists("jwtsession:login") and _leads_nowhere("LOGIN_REDIRECT_URL"):
        found.append(
            "LOGIN_REDIRECT_URL is no page of this site: who logs in gets a 404. Write"
            ' LOGIN_REDIRECT_URL = "jwtsession:sessions", or the name of another page.'
        )
    return found


def _mails_without_pages(config: Config) -> bool:
    sends = config.new_device_email or config.token_reuse_email
    return sends and not _exists("jwtsession:sessions")


ALWAYS = (
    Check(
        "W006",
        when(
            if_config(_mails_without_pages),
            "The mails of NEW_DEVICE_EMAIL and TOKEN_REUSE_EMAIL cannot link to the sessions of the"
            " user: no page is named 'jwtsession:sessions'.",
        ),
        'Write path("", include("django_jwtsession.urls")) into urlpatterns.',
    ),
    Check("W023", _pages_that_lead_nowhere),
)
