"""A site whose users live in another database than its sessions: run it, and it visits the admin.

Prints a line for each page: the status and the path. No page asks one database for both.
With an engine's name it deletes users instead, in each way there is, and says what came of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

from tests import settings as usual

APP = "django_jwtsession"


class Router:
    """As projects write one: their own answer for one app, none for the rest."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "sessions" if model._meta.app_label == APP else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "sessions") == (app_label == APP)


def pages() -> Iterator[tuple[Any, str, dict[str, Any] | None]]:
    """Yield client, path and form of each visit."""
    from django.contrib.auth.models import User
    from django.test import Client

    from django_jwtsession.models import Session, SessionEvent

    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    ada = User.objects.create_user("ada", "ada@example.com")
    for _ in range(3):
        Client().force_login(ada)
    lists = f"/admin/{APP}/session/", f"/admin/{APP}/sessionevent/"
    row = Session.objects.filter(user_id=ada.pk)[0]
    event = SessionEvent.objects.filter(user_id=ada.pk, kind="login")[0]
    for path in lists:
        for query in ("", "?q=ada", "?q=ada@ex", "?q=192.0.2.", f"?user__exact={ada.pk}"):
            yield client, path + query, None
        for kind in ("staff", "other", "nobody"):
            yield client, f"{path}?user_is={kind}", None
    for path in (
        f"{lists[0]}{row.pk}/change/",
        f"{lists[0]}{row.pk}/delete/",
        f"{lists[1]}{event.pk}/change/",
        f"{lists[1]}{event.pk}/end/",
        f"{lists[0]}user/{ada.pk}/end/",
        f"/admin/auth/user/{ada.pk}/change/",
    ):
        yield client, path, None
    chosen = {"action": "end_sessions", "_selected_action": [str(row.pk)]}
    yield client, lists[0], chosen
    yield client, lists[0], chosen | {"confirmed": "1"}
    yield client, lists[1], {"action": "export_csv", "_selected_action": [event.pk]}
    yield client, f"{lists[0]}user/{ada.pk}/end/", {"end_own": "1"}


def deletions() -> Iterator[tuple[str, int, int]]:
    """Yield each way in which users are deleted, with the status of their next visit and rows."""
    from django.contrib.auth.models import User
    from django.test import Client

    from django_jwtsession.models import Session

    staff = Client()
    staff.force_login(User.objects.create_superuser("root", password="x"))
    selected = {"action": "delete_selected", "post": "yes"}
    ways: dict[str, Any] = {
        "user": lambda user: user.delete(),
        "queryset": lambda user: User.objects.filter(pk=user.pk).delete(),
        "admin's page": lambda user: staff.post(
            f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"}
        ),
        "admin's action": lambda user: staff.post(
            "/admin/auth/user/", selected | {"_selected_action": [user.pk]}
        ),
    }
    for name, delete in ways.items():
        user, client = User.objects.create_user(name), Client()
        client.force_login(user)
        assert client.get("/closed/").status_code == 200
        pk = user.pk
        delete(user)
        assert not User.objects.filter(pk=pk).exists()
        left = Session.objects.filter(user_id=pk).count()
        yield name, client.get("/closed/").status_code, left


def main(engine: str = "") -> None:
    """Visit the pages on two new databases; an error of a page ends all with its traceback."""
    values = {name: value for name, value in vars(usual).items() if name.isupper()}
    with TemporaryDirectory() as folder:
        databases = {
            name: {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(folder) / name}
            for name in ("default", "sessions")
        }
        values |= {"DATABASES": databases, "DATABASE_ROUTERS": [f"{__name__}.Router"]}
        if engine:
            values["SESSION_ENGINE"] = f"django_jwtsession.backends.{engine}"
        settings.configure(**values)
        django.setup()
        for name in databases:
            call_command("migrate", database=name, verbosity=0)
        if engine:
            for found in deletions():
                print(*found)
            return
        for client, path, form in pages():
            response = client.get(path) if form is None else client.post(path, form)
            if response.streaming:
                b"".join(response.streaming_content)
            print(response.status_code, path)


if __name__ == "__main__":
    import tests.admin.split_site

    tests.admin.split_site.main(*sys.argv[1:])
