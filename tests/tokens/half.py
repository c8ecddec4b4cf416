"""One half of a site: a process with its own KEYS and ALGORITHMS, asked over its standard input.

``python -m tests.tokens.half '{"KEYS": [..], "ALGORITHMS": [..]}'``. Each line in is a cookie, or
"new"; each line out is JSON: the user found, and the cookie of the response ("" for none).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from django.conf import settings

    settings.SESSION_ENGINE = "django_jwtsession.backends.cookie"
    settings.JWTSESSION = json.loads(sys.argv[1]) | {"REVOCATION_POLL": None}
    import django

    django.setup()
    from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY
    from django.http import HttpResponse
    from django.test import RequestFactory

    from django_jwtsession.middleware import SessionMiddleware

    def view(request: Any) -> HttpResponse:
        if request.path == "/new":
            request.session[SESSION_KEY] = "42"
            request.session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        return HttpResponse(request.session.get(SESSION_KEY, ""))

    answer = SessionMiddleware(view)
    for line in sys.stdin:
        asked = line.strip()
        request = RequestFactory().get("/new" if asked == "new" else "/")
        if asked != "new":
            request.COOKIES[settings.SESSION_COOKIE_NAME] = asked
        response = answer(request)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        told = {"user": response.content.decode(), "cookie": cookie.value if cookie else ""}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
