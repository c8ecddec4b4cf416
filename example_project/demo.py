"""What `make demo` runs: a secret, a database, two users, and a server that says what to try.

python -m example_project.demo 127.0.0.1:8000
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from typing import Any

from example_project import env

USERS: dict[str, dict[str, Any]] = {
    "demo": {},
    "staff": {"is_staff": True, "is_superuser": True},
}


def main(address: str) -> None:
    """Serve the example at `address` ("host:port") until it is interrupted."""
    added = env.add_missing(
        {
            "SESSION_SECRET": base64.b64encode(secrets.token_bytes(32)).decode(),
            "DEBUG": "1",
            **{_variable(name): secrets.token_urlsafe(9) for name in USERS},
        }
    )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    passwords = {name: make_user(name, **flags) for name, flags in USERS.items()}
    if "SESSION_SECRET" in added:
        print("SESSION_SECRET was missing; a new one is in .env")
    print(greeting(address, passwords), flush=True)
    call_command("runserver", address, use_reloader=False)


def make_user(name: str, **flags: Any) -> str:
    """Make the user `name`, or bring it back to what .env says; return its password."""
    from django.contrib.auth import get_user_model

    password = env.read()[_variable(name)]
    user, _ = get_user_model()._default_manager.get_or_create(username=name, defaults=flags)
    if not user.check_password(password):  # setting it anew would end the user's sessions
        user.set_password(password)
        user.save()
    return password


def greeting(address: str, passwords: dict[str, str]) -> str:
    """Return what the demo says before it serves."""
    from django.conf import settings

    engine = settings.SESSION_ENGINE.rpartition(".")[2]
    days = settings.SESSION_COOKIE_AGE // 86400
    secure = "Secure" if settings.SESSION_COOKIE_SECURE else "not Secure: plain http with DEBUG on"
    return f"""
  Engine   {engine} (SESSION_BACKEND=cookie, db or hybrid chooses it)
  Cookie   {settings.SESSION_COOKIE_NAME}: {days} days, HttpOnly, \
SameSite={settings.SESSION_COOKIE_SAMESITE}, Path={settings.SESSION_COOKIE_PATH}, {secure}

  User     demo    password  {passwords["demo"]}
  Staff    staff   password  {passwords["staff"]}

  Try      http://{address}/signup    make an account; it is logged in at once
           http://{address}/login     log in as demo
           http://{address}/profile   closed to anonymous visitors; extend or end the session
           http://{address}/admin/    as staff: all sessions, each on its device; end some

  Ctrl-C ends the demo.
"""


def _variable(user: str) -> str:
    return f"{user.upper()}_PASSWORD"


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000")
    except KeyboardInterrupt:
        sys.exit(130)
