"""`python -m tests.helpers.odd_site.run ENGINE SCENE`: prints "done" where all was right."""

from __future__ import annotations

import sys
from typing import Any

import django
from django.conf import settings


def set_up(engine: str, user_model: str) -> None:
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
        AUTH_USER_MODEL=f"odd_site.{user_model}",
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


def carts() -> None:
    """Rows of the project hang on the session: of a visitor who logs in, and after the end."""
    from django.core.management import call_command

    from django_jwtsession.models import Session
    from django_jwtsession.revocation import revoke_session
    from tests.helpers.odd_site.models import Cart, Visit
    from tests.helpers.visitor import Visitor

    visitor = Visitor()
    visitor.put(x=1)
    for model in (Cart, Visit):
        model._base_manager.create(session=Session.objects.get())
    visitor.login(new_user("ada"))  # the visitor's session goes on, and so does the cart
    assert who(visitor) == "user ada"
    assert Cart.objects.get().session == Session.objects.get()
    visitor.login(new_user("bob"))  # another user's is another session
    assert who(visitor) == "user bob"
    assert not Cart.objects.exists()
    assert Visit.objects.get().session is None
    ends = [
        lambda _: visitor.logout(),
        lambda session: revoke_session(session.sid),
        lambda session: session.user.delete(),
    ]
    for number, end in enumerate(ends):
        visitor, user = Visitor(), new_user(f"user{number}")
        visitor.login(user)
        session = Session.objects.get(user=user)
        Cart.objects.create(session=session)
        end(session)
        assert (who(visitor), Cart.objects.count()) == ("", 0)
    Visitor().put(x=1)
    Cart.objects.create(session=Session.objects.get(user=None))
    Session.objects.update(expires_at="2000-01-01T00:00:00Z")
    call_command("clearsessions")
    assert (Session.objects.count(), Cart.objects.count()) == (0, 0)


def parts() -> None:
    """The site's users are the first of two tables; some have a row in the second."""
    from tests.helpers.odd_site.models import Member

    two_tables(lambda name: Member.objects.create_user(name, password="x"))


def wholes() -> None:
    """The site's users are the second of two tables."""
    from django.contrib.auth import get_user_model

    two_tables(lambda name: get_user_model().objects.create_user(name, password="x"))


def two_tables(new: Any) -> None:
    """Log in, come back; what happens to either half of the user ends the sessions."""
    from django.contrib.auth import get_user_model

    from django_jwtsession.models import SessionEvent
    from tests.helpers.odd_site.models import Member, Person
    from tests.helpers.visitor import Visitor

    def deactivate(user: Any) -> None:
        user.is_active = False
        user.save()

    def set_password(user: Any) -> None:
        user.set_password("y")
        user.save()

    def delete(user: Any) -> None:
        user.delete()

    for number, (half, end) in enumerate(
        (half, end) for half in (Person, Member) for end in (deactivate, set_password, delete)
    ):
        name = f"user{number}"
        user = new(name)
        visitor = Visitor()
        visitor.login(get_user_model().objects.get(pk=user.pk))
        visitor.put(x=1)
        assert who(visitor) == name
        end(half._base_manager.get(pk=user.pk))
        assert who(visitor) == "", (half, end)
        ends = SessionEvent.objects.filter(user_id=user.pk, kind="revoked")
        assert ends.count() == 1, (half, end, list(ends))


if __name__ == "__main__":
    scene = {
        "login": (login, "OddUser"),
        "star": (star, "OddUser"),
        "carts": (carts, "OddUser"),
        "parts": (parts, "Person"),
        "wholes": (wholes, "Member"),
    }
    run, user_model = scene[sys.argv[2]]
    set_up(sys.argv[1], user_model)
    run()
    print("done")
