"""The sites of the neighbours: which packages, with which settings. Imports no Django.

Each is a process of its own (settings.py), and its tests are neighbours/test_<name>.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OUR_MIDDLEWARE = "django_jwtsession.middleware.SessionMiddleware"
_MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
_ALLAUTH = "allauth.account.auth_backends.AuthenticationBackend"


@dataclass(frozen=True)
class Site:
    """A neighbour: its distribution, and what its documentation has a site write.

    `line` is what a site writes for the two to work together, beyond that; `note` says what a
    reader should know.
    """

    package: str
    apps: tuple[str, ...] = ()
    middleware: tuple[str, ...] = ()
    first: tuple[str, ...] = ()  # middleware before the session's
    line: str = ""
    note: str = ""
    what: str = ""
    postgresql: bool = False
    context_processors: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def _allauth(*apps: str, what: str, note: str = "", **settings: Any) -> Site:
    return Site(
        "django-allauth",
        ("allauth", "allauth.account", *apps),
        ("allauth.account.middleware.AccountMiddleware",),
        what=what,
        note=note,
        settings={
            "AUTHENTICATION_BACKENDS": [_MODEL_BACKEND, _ALLAUTH],
            "ACCOUNT_EMAIL_VERIFICATION": "none",
            "ACCOUNT_RATE_LIMITS": False,
            "LOGIN_REDIRECT_URL": "/who/",
            **settings,
        },
    )


SITES: dict[str, Site] = {
    "drf": Site(
        "djangorestframework",
        ("rest_framework",),
        what="SessionAuthentication, CSRF, the browsable API's login",
        settings={
            "REST_FRAMEWORK": {
                "DEFAULT_AUTHENTICATION_CLASSES": [
                    "rest_framework.authentication.SessionAuthentication"
                ],
                "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
            }
        },
    ),
    "ninja": Site("django-ninja", what="`django_auth`, CSRF"),
    "allauth_account": _allauth(what="account: sign-up, login, new password, logout"),
    "allauth_mfa": _allauth("allauth.mfa", what="mfa: a TOTP at the login"),
    "allauth_headless": _allauth(
        "allauth.headless",
        "allauth.usersessions",
        what="headless: app (`X-Session-Token`) and browser",
        HEADLESS_ONLY=False,
    ),
    "allauth_usersessions": _allauth(
        "allauth.usersessions",
        "django.contrib.humanize",
        what="usersessions: list one's sessions, end one",
        note="What it ends, ends here too; our own page `sessions/` does the same without it.",
    ),
    "allauth_social": _allauth(
        "allauth.socialaccount",
        "allauth.socialaccount.providers.dummy",
        what="socialaccount: a sign-up of 6 KB under way in the session",
        note="`hybrid` leaves the copy out of such a cookie; the engine `cookie` raises"
        " SessionTooLarge.",
        SOCIALACCOUNT_AUTO_SIGNUP=False,
        ACCOUNT_SIGNUP_FIELDS=["email*", "username*"],
    ),
    "axes": Site(
        "django-axes",
        ("axes",),
        ("axes.middleware.AxesMiddleware",),
        what="lock-out after wrong passwords, reset by a login",
        settings={
            "AUTHENTICATION_BACKENDS": ["axes.backends.AxesStandaloneBackend", _MODEL_BACKEND],
            "AXES_FAILURE_LIMIT": 3,
        },
    ),
    "otp": Site(
        "django-otp",
        ("django_otp", "django_otp.plugins.otp_static", "django_otp.plugins.otp_totp"),
        ("django_otp.middleware.OTPMiddleware",),
        what="a device proved at the login stays proved",
    ),
    "two_factor": Site(
        "django-two-factor-auth",
        (
            "django_otp",
            "django_otp.plugins.otp_static",
            "django_otp.plugins.otp_totp",
            "two_factor",
        ),
        ("django_otp.middleware.OTPMiddleware",),
        what="the login wizard with a token",
        settings={"LOGIN_URL": "two_factor:login", "LOGIN_REDIRECT_URL": "/who/"},
    ),
    "hijack": Site(
        "django-hijack",
        ("hijack",),
        ("hijack.middleware.HijackUserMiddleware",),
        what="take over, with the staff member in the history, and release",
    ),
    "impersonate": Site(
        "django-impersonate",
        ("impersonate",),
        ("impersonate.middleware.ImpersonateMiddleware",),
        what="impersonate, with the staff member in the history, and stop",
        settings={"IMPERSONATE": {"REDIRECT_URL": "/who/"}},
    ),
    "loginas": Site(
        "django-loginas",
        ("loginas",),
        what="log in as, with the staff member in the history, and return",
        settings={"LOGINAS_REDIRECT_URL": "/who/", "LOGINAS_LOGOUT_REDIRECT_URL": "/who/"},
    ),
    "channels": Site(
        "channels",
        ("channels",),
        what="`AuthMiddlewareStack` as it is; login in a consumer",
        note="A handshake extends no session, a login in a consumer has no line in the history"
        " (Channels' signal has no request). The `SessionMiddleware` of"
        " `django_jwtsession.contrib.channels`"
        " extends. [Sockets that end with their session](live.md).",
    ),
    "debug_toolbar": Site(
        "django-debug-toolbar",
        ("debug_toolbar",),
        ("debug_toolbar.middleware.DebugToolbarMiddleware",),
        what="the toolbar on a page, its panels of requests and history",
        settings={
            "DEBUG": True,
            "INTERNAL_IPS": ["127.0.0.1"],
            "STATIC_URL": "/static/",
            "DEBUG_TOOLBAR_CONFIG": {"IS_RUNNING_TESTS": False},
        },
    ),
    "oauth_toolkit": Site(
        "django-oauth-toolkit",
        ("oauth2_provider",),
        what="an authorization code for who is logged in, and its token",
        settings={"OAUTH2_PROVIDER": {"SCOPES": {"read": "Read"}}},
    ),
    "oidc": Site(
        "mozilla-django-oidc",
        ("mozilla_django_oidc",),
        what="state and nonce in the session, the login after it",
        settings={
            "AUTHENTICATION_BACKENDS": [
                _MODEL_BACKEND,
                "mozilla_django_oidc.auth.OIDCAuthenticationBackend",
            ],
            "OIDC_RP_CLIENT_ID": "client",
            "OIDC_RP_CLIENT_SECRET": "a client's secret of more than 32 bytes",
            "OIDC_RP_SIGN_ALGO": "HS256",
            "OIDC_OP_AUTHORIZATION_ENDPOINT": "https://op.example/auth",
            "OIDC_OP_TOKEN_ENDPOINT": "https://op.example/token",
            "OIDC_OP_USER_ENDPOINT": "https://op.example/user",
            "LOGIN_REDIRECT_URL": "/who/",
            "LOGIN_REDIRECT_URL_FAILURE": "/who/",
            "LOGOUT_REDIRECT_URL": "/who/",
        },
    ),
    "social_auth": Site(
        "social-auth-app-django",
        ("social_django",),
        what="OAuth 2: state in the session, the login after it",
        settings={
            "AUTHENTICATION_BACKENDS": [
                "social_core.backends.github.GithubOAuth2",
                _MODEL_BACKEND,
            ],
            "SOCIAL_AUTH_GITHUB_KEY": "key",
            "SOCIAL_AUTH_GITHUB_SECRET": "secret",
            "LOGIN_REDIRECT_URL": "/who/",
        },
    ),
    "saml2": Site(
        "djangosaml2",
        ("djangosaml2",),
        ("djangosaml2.middleware.SamlSessionMiddleware",),
        what="the request to the identity provider, kept in its own session",
        note="Its second session (cookie `saml_session`) is one of ours too, and anonymous.",
        settings={
            "AUTHENTICATION_BACKENDS": [_MODEL_BACKEND, "djangosaml2.backends.Saml2Backend"],
            "SAML_CONFIG_LOADER": "tests.ecosystem.saml.config",
        },
    ),
    "cas": Site(
        "django-cas-ng",
        ("django_cas_ng",),
        ("django_cas_ng.middleware.CASMiddleware",),
        what="login by a ticket, single logout by the stored `session_key`",
        settings={
            "AUTHENTICATION_BACKENDS": [_MODEL_BACKEND, "django_cas_ng.backends.CASBackend"],
            "CAS_SERVER_URL": "https://cas.example/",
            "CAS_REDIRECT_URL": "/who/",
            "CAS_VERSION": "3",
        },
    ),
    "formtools": Site("django-formtools", ("formtools",), what="a wizard in the session"),
    "tenants": Site(
        "django-tenants",
        ("django_tenants", "tests.ecosystem.tenant_app"),
        what="schemas, the package in TENANT_APPS and SHARED_APPS; no tenant's cookie opens"
        " another's session",
        postgresql=True,
        first=("django_tenants.middleware.main.TenantMainMiddleware",),
        settings={
            "TENANT_MODEL": "tenant_app.Client",
            "TENANT_DOMAIN_MODEL": "tenant_app.Domain",
            "DATABASE_ROUTERS": ["django_tenants.routers.TenantSyncRouter"],
            "SHARED_APPS": [
                "django_tenants",
                "tests.ecosystem.tenant_app",
                "django.contrib.contenttypes",
                "django.contrib.auth",
                "django_jwtsession",
            ],
            "TENANT_APPS": [
                "django.contrib.contenttypes",
                "django.contrib.auth",
                "django_jwtsession",
            ],
        },
    ),
    "wagtail": Site(
        "wagtail",
        (
            "wagtail.users",
            "wagtail.snippets",
            "wagtail.documents",
            "wagtail.images",
            "wagtail.search",
            "wagtail.admin",
            "wagtail.sites",
            "wagtail",
            "modelcluster",
            "taggit",
        ),
        what="the admin: login, an edit, a new password, logout",
        settings={"WAGTAIL_SITE_NAME": "Neighbours", "WAGTAILADMIN_BASE_URL": "http://testserver"},
    ),
    "oscar": Site(
        "django-oscar",
        (
            "django.contrib.sites",
            "django.contrib.flatpages",
            "oscar.config.Shop",
            "oscar.apps.analytics.apps.AnalyticsConfig",
            "oscar.apps.checkout.apps.CheckoutConfig",
            "oscar.apps.address.apps.AddressConfig",
            "oscar.apps.shipping.apps.ShippingConfig",
            "oscar.apps.catalogue.apps.CatalogueConfig",
            "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
            "oscar.apps.communication.apps.CommunicationConfig",
            "oscar.apps.partner.apps.PartnerConfig",
            "oscar.apps.basket.apps.BasketConfig",
            "oscar.apps.payment.apps.PaymentConfig",
            "oscar.apps.offer.apps.OfferConfig",
            "oscar.apps.order.apps.OrderConfig",
            "oscar.apps.customer.apps.CustomerConfig",
            "oscar.apps.search.apps.SearchConfig",
            "oscar.apps.voucher.apps.VoucherConfig",
            "oscar.apps.wishlists.apps.WishlistsConfig",
            "oscar.apps.dashboard.apps.DashboardConfig",
            "oscar.apps.dashboard.reports.apps.ReportsDashboardConfig",
            "oscar.apps.dashboard.users.apps.UsersDashboardConfig",
            "oscar.apps.dashboard.orders.apps.OrdersDashboardConfig",
            "oscar.apps.dashboard.catalogue.apps.CatalogueDashboardConfig",
            "oscar.apps.dashboard.offers.apps.OffersDashboardConfig",
            "oscar.apps.dashboard.partners.apps.PartnersDashboardConfig",
            "oscar.apps.dashboard.pages.apps.PagesDashboardConfig",
            "oscar.apps.dashboard.ranges.apps.RangesDashboardConfig",
            "oscar.apps.dashboard.reviews.apps.ReviewsDashboardConfig",
            "oscar.apps.dashboard.vouchers.apps.VouchersDashboardConfig",
            "oscar.apps.dashboard.communications.apps.CommunicationsDashboardConfig",
            "oscar.apps.dashboard.shipping.apps.ShippingDashboardConfig",
            "widget_tweaks",
            "haystack",
            "treebeard",
            "django_tables2",
        ),
        ("oscar.apps.basket.middleware.BasketMiddleware",),
        what="a visitor's basket becomes the user's at the login",
        settings={
            "AUTHENTICATION_BACKENDS": [
                "oscar.apps.customer.auth_backends.EmailBackend",
                _MODEL_BACKEND,
            ],
            "SITE_ID": 1,
            "HAYSTACK_CONNECTIONS": {
                "default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}
            },
            "OSCAR": True,
        },
    ),
    "easyaudit": Site(
        "django-easy-audit",
        ("django.contrib.sessions", "easyaudit"),
        ("easyaudit.middleware.easyaudit.EasyAuditMiddleware",),
        what="logins, requests with their user, changes",
        line='`"django.contrib.sessions"` stays in INSTALLED_APPS beside our app',
        note="It imports the models of Django's sessions; their table stays empty.",
    ),
    "user_visit": Site(
        "django-user-visit",
        ("user_visit",),
        ("user_visit.middleware.UserVisitMiddleware",),
        what="a line a day for each session, by its key",
    ),
    "import_export": Site(
        "django-import-export",
        ("import_export",),
        what="the admin's import in two steps",
    ),
    "session_security": Site(
        "django-session-security",
        ("session_security",),
        ("session_security.middleware.SessionSecurityMiddleware",),
        what="a warning, and the logout of who does nothing",
        note="Each request writes to the session, which costs `hybrid` its window. The script of"
        " [our own pages](sessions-pages.md) warns without that.",
        context_processors=("session_security.context_processors.session_security",),
        settings={"SESSION_EXPIRE_AT_BROWSER_CLOSE": True},
    ),
}
