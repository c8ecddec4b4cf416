"""ASVS 5.0.0 V7: sessions, from their beginning to their end."""

from __future__ import annotations

from collections.abc import Callable

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from .requirement import Finding, Requirement, met, not_met, of_engine, yours
from .site import Site, accepts_inactive, guarded_views, has_page

_DAY = 86400
# Seconds: a later end is no end, a login that may last longer has none.
_LATEST_END = 60
_LONGEST_OUTAGE = 3600
_LONGEST_LOGIN = 366 * _DAY
_POLL, _ABSOLUTE = 'JWTSESSION["REVOCATION_POLL"]', 'JWTSESSION["ABSOLUTE_AGE"]'
_LIMIT, _POLICY = 'JWTSESSION["MAX_SESSIONS_PER_USER"]', 'JWTSESSION["POLICY"]'
_FACTORS = ("allauth.mfa", "django_otp", "two_factor")
_MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"

Judge = Callable[[Site], Finding]


def _span(seconds: float) -> str:
    """Return a duration as people say it."""
    units = (("day", _DAY), ("hour", 3600), ("minute", 60))
    found = (_counted(seconds / n, unit) for unit, n in units if seconds >= n)
    return next(found, f"{seconds:g} s")


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}{'' if number == 1 else 's'}"


# --- 7.1: what is written down -------------------------------------------------------------------


def _limits_on_paper(site: Site) -> Finding:
    if site.trouble:
        return not_met(site.troubled_setting, site.trouble, "See what `manage.py check` says.")
    idle, most = float(settings.SESSION_COOKIE_AGE), site.config.absolute_age
    why = f"{_span(idle)} without use, {_span(most)} in all"
    if site.config.policy:
        why += f", or what {site.config.policy} says"
    return yours(
        f"SESSION_COOKIE_AGE, {_ABSOLUTE}",
        f"{why}.",
        "Write down why; NIST SP 800-63B names 30 days in all, at its second level 1 hour and 24",
    )


def _number_on_paper(site: Site) -> Finding:
    most, by_policy = site.config.max_sessions_per_user, site.config.policy
    if site.engine == "cookie" and most is not None:
        return not_met(
            _LIMIT,
            "The limit counts rows, and the engine `cookie` has none: nothing is limited.",
            "SESSION_ENGINE = 'django_jwtsession.backends.hybrid', or no limit",
        )
    said = "any number of sessions" if most is None else f"{most} sessions, then the oldest ends"
    why = f"A user may have {said}{f', or what {by_policy} says' if by_policy else ''}."
    return yours(_POLICY if by_policy else _LIMIT, why, "Write it down, and what happens then")


def _sign_on_on_paper(site: Site) -> Finding:
    backends = ", ".join(settings.AUTHENTICATION_BACKENDS)
    return yours(
        "AUTHENTICATION_BACKENDS",
        f"Logins come from {backends}.",
        "If one of them asks another system, write down whose sessions end when",
    )


# --- 7.2: tokens ---------------------------------------------------------------------------------


def _on_the_server(site: Site) -> Finding:
    if not site.has_middleware:
        return not_met(
            "MIDDLEWARE",
            "No session middleware is installed: requests have no session.",
            "'django_jwtsession.middleware.SessionMiddleware' in MIDDLEWARE",
        )
    return met("MIDDLEWARE", "Tokens are checked on the server, before anything is believed.")


def _made_anew(site: Site) -> Finding:
    return met("SESSION_ENGINE", "Each session has a token of its own, made when it begins.")


def _random(site: Site) -> Finding:
    why = "A key has 230 random bits: the 122 that name the session, and 108 beside them."
    if site.engine == "cookie":
        why = "No key opens a session, only its token; 122 random bits name it, which open nothing."
    return met("SESSION_ENGINE", why)


def _new_at_login(site: Site) -> Finding:
    why = "A login, a new password and each proof of identity end all tokens from before."
    return _as_ends_reach(site, met("SESSION_ENGINE", why))


# --- 7.3: time -----------------------------------------------------------------------------------


def _idle(site: Site) -> Finding:
    idle, most = float(settings.SESSION_COOKIE_AGE), site.config.absolute_age
    if idle >= most:
        return not_met(
            "SESSION_COOKIE_AGE",
            f"{_span(idle)} without use are no less than the {_span(most)} of a login.",
            "SESSION_COOKIE_AGE = 14 * 24 * 60 * 60, or less",
        )
    why = f"A session ends after {_span(idle)} without use; a tab that polls is no use."
    return met("SESSION_COOKIE_AGE", why)


def _absolute(site: Site) -> Finding:
    most = site.config.absolute_age
    if most > _LONGEST_LOGIN:
        return not_met(
            _ABSOLUTE,
            f"A login may last {_span(most)}: that is no limit.",
            f"{_ABSOLUTE} = timedelta(days=90), or less",
        )
    return met(_ABSOLUTE, f"A login ends after {_span(most)}, whatever extends it.")


# --- 7.4: ends -----------------------------------------------------------------------------------


def _as_ends_reach(site: Site, finding: Finding) -> Finding:
    """Return the finding, unless the end of a session does not reach every process."""
    return _late_end(site) or finding


def _late_end(site: Site) -> Finding | None:
    poll, stale = site.config.revocation_poll, site.config.stale_if_error
    if site.database:
        why = f"The tables cannot be read: {site.database}"
        return not_met("DATABASES", why, "python manage.py migrate")
    if site.engine == "db":
        return None
    if poll is None or poll > _LATEST_END:
        how_long = "until it expires" if site.engine == "cookie" else "while it is trusted"
        how_long = f"for {poll:g} s" if poll else how_long
        why = f"A copy of a cookie goes on after the end, {how_long}."
        return not_met(_POLL, why, f"{_POLL} = 1.0")
    if stale > _LONGEST_OUTAGE:
        why = f"While the database is out of reach, ended sessions go on for {_span(stale)}."
        return not_met('JWTSESSION["STALE_IF_ERROR"]', why, 'JWTSESSION["STALE_IF_ERROR"] = 60')
    return None


def _ended_for_good(site: Site) -> Finding:
    if site.engine == "db":
        return _as_ends_reach(site, met("SESSION_ENGINE", "Its row is gone at once."))
    why = f"Every process refuses it within {site.config.revocation_poll or 0:g} s."
    return _as_ends_reach(site, met(_POLL, why))


def _gone_users(site: Site) -> Finding:
    try:
        is_accepted = accepts_inactive()
    except (ImportError, ImproperlyConfigured) as error:
        why = f"A backend cannot be used: {error}"
        return not_met("AUTHENTICATION_BACKENDS", why, f"One that can, such as {_MODEL_BACKEND}")
    if is_accepted:
        return not_met(
            "AUTHENTICATION_BACKENDS",
            "A backend accepts users who are not active.",
            "A backend that does not, such as Django's ModelBackend",
        )
    if left := site.left_over:
        return not_met(
            "DATABASES",
            f"{_counted(left, 'session')} of deactivated users in the table: no signal told.",
            "manage.py jwtsession revoke --user NAME; save users instead of update()",
        )
    why = "Whoever is deleted or deactivated is signed out everywhere; others are refused."
    return _as_ends_reach(site, met("AUTHENTICATION_BACKENDS", why))


def _new_factor(site: Site) -> Finding:
    found = [name for name in _FACTORS if apps.is_installed(name)]
    if found and not _late_end(site):
        return yours(
            "INSTALLED_APPS",
            f"A new password ends all other sessions; a change of a factor of {found[0]} does not.",
            "revoke_user_sessions(user, keep=request.session) where a factor changes",
        )
    why = "A new password ends all other sessions of the user, without asking."
    return _as_ends_reach(site, met("SESSION_ENGINE", why))


def _logout(site: Site) -> Finding:
    if not has_page("logout", "account_logout", "two_factor:logout", "admin:logout"):
        return not_met(
            "ROOT_URLCONF",
            "No page is named logout.",
            'path("", include("django_jwtsession.urls.login")), and a button on each page',
        )
    return yours(
        "ROOT_URLCONF", "There is a logout.", "A button for it on each page that needs a login"
    )


def _administrators(site: Site) -> Finding:
    if late := _late_end(site):
        return late
    if has_page("admin:django_jwtsession_session_changelist"):
        return met("ROOT_URLCONF", "In the admin, of one user or all; and on the command line.")
    return yours(
        "ROOT_URLCONF",
        "`manage.py jwtsession revoke --user | --all` ends sessions; no page of the admin does.",
        "Say who may do so, or have the admin's pages in the URLconf",
    )


# --- 7.5: more than a login ----------------------------------------------------------------------


def _guarded(ask: str, with_methods: bool) -> Finding:
    found = [name for name, wanted in guarded_views() if wanted.methods or not with_methods]
    why = "No view of the URLconf asks for a proof."
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        why = f"These ask for a proof: {', '.join(found[:5])}{more}."
    return yours("ROOT_URLCONF", why, ask)


def _sensitive_attributes(site: Site) -> Finding:
    return _guarded("@fresh_login on views that change e-mail, phone or factors", False)


def _own_list(site: Site) -> Finding:
    if not has_page("jwtsession:sessions"):
        return not_met(
            "ROOT_URLCONF",
            "Users have no page of their sessions.",
            'path("", include("django_jwtsession.urls"))',
        )
    config = site.config
    if site.engine == "cookie" and config.history_age < config.absolute_age:
        return not_met(
            'JWTSESSION["HISTORY_AGE"]',
            "The engine `cookie` lists the logins of the history, which is kept for a shorter time"
            " than a login may last.",
            f'JWTSESSION["HISTORY_AGE"] = {_ABSOLUTE}',
        )
    why = "sessions/ lists them, and ends them after a login or proof of 5 minutes."
    return _as_ends_reach(site, met("ROOT_URLCONF", why))


def _sensitive_operations(site: Site) -> Finding:
    return _guarded('@fresh_login(methods={"otp", "hwk"}) on what is highly sensitive', True)


# --- 7.6: other systems --------------------------------------------------------------------------


def _federated_ends(site: Site) -> Finding:
    return yours(
        "AUTHENTICATION_BACKENDS",
        "A policy gives federated logins a time of their own; an end there is not seen here.",
        "revoke_user_sessions() when the identity provider says that its session has ended",
    )


def _asked_for(site: Site) -> Finding:
    if getattr(settings, "SOCIALACCOUNT_LOGIN_ON_GET", False):
        return not_met(
            "SOCIALACCOUNT_LOGIN_ON_GET",
            "A link logs in: other sites can begin a session here.",
            "SOCIALACCOUNT_LOGIN_ON_GET = False",
        )
    if list(settings.AUTHENTICATION_BACKENDS) == [_MODEL_BACKEND]:
        return met("AUTHENTICATION_BACKENDS", "A session begins with a password.")
    return yours(
        "AUTHENTICATION_BACKENDS",
        "Backends of other kinds may log in without a step of the user's.",
        "See that each login follows from a click of the user",
    )


# --- engines of Django ---------------------------------------------------------------------------

_WRITE_ENGINE = "SESSION_ENGINE = 'django_jwtsession.backends.hybrid'"
_NO_END = not_met("SESSION_ENGINE", "A copy of a signed cookie outlives its end.", _WRITE_ENGINE)
_NO_LIMIT = not_met("SESSION_ENGINE", "Use extends Django's sessions without end.", _WRITE_ENGINE)


def _but(judge: Judge, finding: Finding, *engines: str) -> Judge:
    """Ask `judge`, but answer with `finding` for some of Django's own engines."""
    ours = of_engine(judge)
    return lambda site: finding if site.engine in engines else ours(site)


_STATELESS, _DJANGOS = ("signed_cookies",), ("signed_cookies", "django")
_FRESH = "A new token at login and proof, and the end of the old one"
_FACTOR = "Others can be ended when a password or factor changes"

REQUIREMENTS = (
    Requirement("7.1.1", 2, "Idle and absolute limits are written down", _limits_on_paper),
    Requirement("7.1.2", 2, "How many sessions a user may have is written down", _number_on_paper),
    Requirement("7.1.3", 2, "Sessions of single sign-on are written down", _sign_on_on_paper),
    Requirement("7.2.1", 1, "Tokens are verified on the server", of_engine(_on_the_server)),
    Requirement("7.2.2", 1, "Tokens are made anew, no static keys", of_engine(_made_anew)),
    Requirement("7.2.3", 1, "Keys of sessions have 128 random bits", of_engine(_random)),
    Requirement("7.2.4", 1, _FRESH, _but(_new_at_login, _NO_END, *_STATELESS)),
    Requirement("7.3.1", 2, "Ends when it is not used", of_engine(_idle)),
    Requirement("7.3.2", 2, "Ends however much it is used", _but(_absolute, _NO_LIMIT, *_DJANGOS)),
    Requirement("7.4.1", 1, "Ended is ended", _but(_ended_for_good, _NO_END, *_STATELESS)),
    Requirement("7.4.2", 1, "Sessions end with their account", of_engine(_gone_users)),
    Requirement("7.4.3", 2, _FACTOR, of_engine(_new_factor)),
    Requirement("7.4.4", 2, "Logout is on every page that needs a login", _logout),
    Requirement("7.4.5", 2, "Staff can end a user's sessions, or all", of_engine(_administrators)),
    Requirement("7.5.1", 2, "Proof before a change of e-mail or factors", _sensitive_attributes),
    Requirement("7.5.2", 2, "Users see and end their sessions, with proof", of_engine(_own_list)),
    Requirement(
        "7.5.3", 3, "Another factor before what is highly sensitive", _sensitive_operations
    ),
    Requirement("7.6.1", 2, "Federated sessions end as is written down", _federated_ends),
    Requirement("7.6.2", 2, "No session begins without the user's doing", _asked_for),
)
