"""A site with allauth's login and reauthentication; run as a program, it proves the adapter."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="adapters-only-secret-key-of-more-than-fifty-characters-here",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django_jwtsession",
        "allauth",
        "allauth.account",
    ],
    MIDDLEWARE=[
        "django_jwtsession.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
    SESSION_ENGINE="django_jwtsession.backends.hybrid",
    ACCOUNT_EMAIL_VERIFICATION="none",
    ACCOUNT_RATE_LIMITS=False,
    LOGIN_URL="account_login",
    LOGIN_REDIRECT_URL="/closed/",
)
django.setup()

from allauth.account.authentication import get_authentication_records  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402
from django.urls import include, path, reverse  # noqa: E402

from django_jwtsession.decorators import fresh_login  # noqa: E402
from django_jwtsession.pages.confirmers import Confirmer, register, unregister  # noqa: E402


class AllauthConfirmer(Confirmer):
    """As docs/sessions-pages.md has it."""

    name, methods, label = "allauth", frozenset({"pwd", "otp", "hwk"}), "the site's own page"

    def begin(self, request: HttpRequest, back: str) -> str:
        return f"{reverse('account_reauthenticate')}?{urlencode({'next': back})}"

    def finish(self, request: HttpRequest, since: float) -> Collection[str]:
        words = {"password": "pwd", "totp": "otp", "recovery_codes": "otp", "webauthn": "hwk"}
        return {
            words[record.get("type", record["method"])]
            for record in get_authentication_records(request, request.user)
            if record["at"] >= since and record.get("type", record["method"]) in words
        }


@fresh_login(methods={"pwd", "otp"})
def closed(request: HttpRequest) -> HttpResponse:
    return HttpResponse("closed")


urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("closed/", closed),
    path("", include("django_jwtsession.urls")),
]


def main() -> None:
    """Log in with allauth, and prove it on allauth's own page."""
    from django.contrib.auth.models import User

    call_command("migrate", verbosity=0)
    setup_test_environment()
    unregister("password")
    register(AllauthConfirmer())
    User.objects.create_user("ann", "ann@example.com", "a long enough password")
    client = Client()
    form = {"login": "ann", "password": "a long enough password"}
    assert client.post("/accounts/login/", form).status_code == 302

    ask = client.get("/closed/").headers["Location"]
    assert "by=allauth" in client.get(ask).content.decode()
    way: Any = client.get(f"{ask}&by=allauth")
    assert way.headers["Location"].startswith("/accounts/reauthenticate/?next=")
    client.get(f"{ask}&done=allauth")
    assert client.get("/closed/").status_code == 302, "nothing was proved yet"
    page = client.get(f"{ask}&by=allauth").headers["Location"]
    assert client.post(page, {"password": "wrong"}).status_code == 200
    back = client.post(page, {"password": "a long enough password"})
    assert "done=allauth" in back.headers["Location"], back.headers["Location"]
    assert client.get(back.headers["Location"]).headers["Location"] == "/closed/"
    assert client.get("/closed/").content == b"closed"
    print("proved")


if __name__ == "__main__":
    main()
