"""The admin in the frame of a theme that replaces Django's templates: run it with the theme's name.

Prints a line for each page: the status, the path, and which of the named texts it lacks.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.urls import path

from tests import settings as usual

BUTTON = 'class="jwtsession-button'


def urlpatterns_of(theme: str) -> list[Any]:
    """Return the admin as the documentation has it for a theme."""
    from django.contrib import admin

    from django_jwtsession.admin import SessionAdmin, SessionEventAdmin
    from django_jwtsession.models import Session, SessionEvent

    if theme == "unfold":
        from unfold.admin import ModelAdmin

        admin.site.unregister([Session, SessionEvent])
        for model, base in ((Session, SessionAdmin), (SessionEvent, SessionEventAdmin)):
            admin.site.register(model, type(f"Own{base.__name__}", (base, ModelAdmin), {}))
    return [path("admin/", admin.site.urls)]


def pages() -> Iterator[tuple[Any, str, tuple[str, ...]]]:
    """Yield client, path and what must stand there."""
    from django.contrib.auth.models import User
    from django.test import Client

    from django_jwtsession.models import Session, SessionEvent

    client = Client()
    root = User.objects.create_superuser("root", password="x")
    client.force_login(root)
    row = Session.objects.get()
    event = SessionEvent.objects.filter(kind="login").get()
    sessions, events = (f"/admin/django_jwtsession/{name}/" for name in ("session", "sessionevent"))
    yield client, sessions, (BUTTON, f"{row.pk}/delete/", "End sessions where")
    yield client, f"{sessions}?user__exact={root.pk}", ("End all sessions of this user",)
    yield client, events, (BUTTON, f"{event.pk}/end/")
    yield client, f"{sessions}{row.pk}/change/", (BUTTON, "End session", "Close")
    yield client, f"{events}{event.pk}/change/", (BUTTON, "End session", "Close")
    yield client, f"{sessions}{row.pk}/delete/", ("End the session", BUTTON, "Yes, end it")
    yield client, f"{events}{event.pk}/end/", ("End the session", BUTTON, "Yes, end it")
    yield client, f"{sessions}user/{root.pk}/end/", ("End all sessions of root?", BUTTON)
    yield client, f"{sessions}end-where/", ("End sessions where", BUTTON, 'name="typed"')
    yield client, f"{sessions}confirm-login/", ("Confirm that it is you", 'name="password"')
    yield client, f"/admin/auth/user/{root.pk}/change/", ("Sessions (1)", "End all sessions")


def main(theme: str) -> None:
    """Visit the pages; an error of a page ends all with its traceback."""
    values = {name: value for name, value in vars(usual).items() if name.isupper()}
    values["INSTALLED_APPS"] = [theme, *usual.INSTALLED_APPS, "django.contrib.staticfiles"]
    values |= {"STATIC_URL": "/static/", "ROOT_URLCONF": "themed"}
    settings.configure(**values)
    django.setup()
    sys.modules["themed"] = type(sys)("themed")
    vars(sys.modules["themed"])["urlpatterns"] = urlpatterns_of(theme)
    call_command("migrate", verbosity=0)
    for client, page, wanted in pages():
        response = client.get(page)
        text = re.sub(r"<title>.*?</title>", "", response.content.decode(), flags=re.DOTALL)
        print(response.status_code, page, *(word for word in wanted if word not in text))


if __name__ == "__main__":
    main(sys.argv[1])
