"""The pages: whether those that the settings name exist, and whether there is one login."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.views import LoginView as DjangoLoginView
from django.core.exceptions import ImproperlyConfigured
from django.shortcuts import resolve_url
from django.urls import (
    NoReverseMatch,
    Resolver404,
    get_resolver,
    get_script_prefix,
    resolve,
    reverse,
)

from ..conf import Config
from ..pages.login import LoginView
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
        write = '"login"' if _ours_is_included() and _exists("login") else "the name of your login"
        found.append(f"LOGIN_URL is no page of this site. Write LOGIN_URL = {write}.")
    if _ours_is_included() and _leads_nowhere("LOGIN_REDIRECT_URL"):
        found.append(
            "LOGIN_REDIRECT_URL is no page of this site: who logs in gets a 404. Write"
            ' LOGIN_REDIRECT_URL = "jwtsession:sessions", or the name of another page.'
        )
    return found


# Apps whose login asks for more than a password, or may do so.
_OWN_LOGINS = {
    "allauth.account": "django-allauth",
    "django_otp": "django-otp",
    "two_factor": "django-two-factor-auth",
}


def _login_views(patterns: Iterable[Any] | None = None) -> Iterator[type]:
    """Yield the classes of the login pages that derive from Django's, as often as they stand.

    Not those of an admin (Wagtail's): they are for staff, as Django's own, which is no such class.
    """
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _login_views(pattern.url_patterns)
            continue
        view = getattr(pattern.callback, "view_class", None)
        if not isinstance(view, type) or not issubclass(view, DjangoLoginView):
            continue
        if "admin" not in view.__module__.split("."):
            yield view


def _found_login_views() -> set[type]:
    if not getattr(settings, "ROOT_URLCONF", None):
        return set()
    try:
        return set(_login_views())
    except (ImportError, ImproperlyConfigured, NoReverseMatch):  # Django's own checks say so
        return set()


def _ours_is_included() -> bool:
    return any(issubclass(view, LoginView) for view in _found_login_views())


def _ways_round() -> list[str]:
    """Return which logins stand beside ours, or beside each other: the weaker one counts."""
    found = _found_login_views()
    names = [f"{view.__module__}.{view.__qualname__}" for view in found]
    messages = []
    if len(names) > 1:
        messages.append(f"There is more than one login page: {', '.join(sorted(names))}.")
    if any(issubclass(view, LoginView) for view in found):
        messages += [
            f"The login page of django_jwtsession asks for a password alone, and {name} is"
            " installed: it is a way round any second factor."
            for app, name in _OWN_LOGINS.items()
            if apps.is_installed(app)
        ]
    return messages


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
    Check(
        "W027",
        _ways_round,
        'Keep one; include "django_jwtsession.urls.login" only where a site has no other.',
    ),
)
