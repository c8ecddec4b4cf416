"""Sessions of the site's engine, each with a user who is logged in: `python -m ... NUMBER USERS`.

Prints a JSON list of [cookie, user's id].
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any
from uuid import uuid4

import django
from django.conf import settings


def make(number: int, users: int) -> list[tuple[str, str]]:
    """Make them, `number` in all, those of `users` users."""
    from django.contrib.auth.models import User

    names = [uuid4().hex for _ in range(users)]
    User.objects.bulk_create(User(username=name, password="!") for name in names)
    people: list[Any] = list(User.objects.filter(username__in=names))
    store = import_module(settings.SESSION_ENGINE).SessionStore
    made = []
    for each in range(number):
        user, session = people[each % users], store()
        session["_auth_user_id"] = str(user.pk)
        session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
        session["_auth_user_hash"] = user.get_session_auth_hash()
        session["number"] = each
        session.save()
        made.append((session.session_key, str(user.pk)))
    return made


if __name__ == "__main__":
    django.setup()
    from django.db import transaction

    with transaction.atomic():
        found = make(int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(found))
