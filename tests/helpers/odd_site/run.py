"""`python -m tests.helpers.odd_site.run ENGINE SCENE`: prints "done" where all was right."""

from __future__ import annotations

import sys
from typing import Any

import django
from django.conf import settings


def set_up(engine: str) -> None:
    settings.configure(
        SECRET_KEY="a secret of a site with odd users, which is long enough",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django_jwtsession",
            "tests.helpers.odd_site",
        ],
        MIDDLEWARE=[
            "django_jwtsession.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        AUTH_USER_MODEL="odd_site.OddUser",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        SESSION_ENGINE=f"django_jwtsession.backends.{engine}",
        ROOT_URLCONF="tests.urls_engines",
        ALLOWED_HOSTS=["*"],
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command
    from django.test.utils import setup_test_environment

    setup_test_environment()
    call_command("migrate", run_syncdb=True, verbosity=0)


def new_user(name: str) -> Any:
    from django.contrib.auth import get_user_model

    from .models import Name

    return get_user_model().objects.create(name=Name(name), username=f"user {name}")


def who(visitor: Any) -> str:
    name: str = visitor.who()
    return name


def login() -> None:
    """Log in, write, come back, log out."""
    from tests.helpers.visitor import Visitor

    visitor = Visitor()
    visitor.login(new_user("ada"))
    assert who(visitor) == "user ada"
    visitor.put(x=1)
    assert visitor.data() == {"x": 1}
    assert who(visitor) == "user ada"
    visitor.logout()
    assert who(visitor) == ""


def star() -> None:
    """A user whose key is the text * ends their own sessions and nobody else's."""
    from django_jwtsession.revocation import revoke_user_sessions
    from tests.helpers.visitor import Visitor

    star, ada = Visitor(), Visitor()
    user = new_user("*")
    star.login(user)
    ada.login(new_user("ada"))
    assert (who(star), who(ada)) == ("user *", "user ada")
    revoke_user_sessions(user)
    assert (who(star), who(ada)) == ("", "user ada")


if __name__ == "__main__":
    set_up(sys.argv[1])
    {"login": login, "star": star}[sys.argv[2]]()
    print("done")
