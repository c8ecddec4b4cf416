"""The site that is measured: settings for one engine, a page for each scenario, a user.

Settings are as in production: no test environment, DEBUG off. Database connections stay open under
WSGI, as CONN_MAX_AGE lets them; under ASGI, where each request has a thread of its own, they come
from Django's pool. Both hold for every engine.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import alogin, alogout, login, logout
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.urls import path

STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
STOCK_AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS = "django_jwtsession.middleware.SessionMiddleware"
OUR_AUTH = "django_jwtsession.middleware.AuthenticationMiddleware"
DB = "django.contrib.sessions.backends.db"


@dataclass(frozen=True)
class Engine:
    """One row of the table.

    `middleware` is all that its sessions need, `auth` what gives `request.user` on top; `options`
    are for JWTSESSION; `package` must be installed.
    """

    session_engine: str
    apps: tuple[str, ...] = ("django.contrib.sessions",)
    middleware: tuple[str, ...] = (STOCK,)
    auth: str = STOCK_AUTH
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    package: str = "django"
    revocable: bool = False

    @property
    def ours(self) -> bool:
        return OURS in self.middleware

    @property
    def with_user(self) -> list[str]:
        return list(dict.fromkeys((*self.middleware, self.auth)))

    @property
    def installed(self) -> bool:
        return find_spec(self.package) is not None


def _ours(name: str, **options: Any) -> Engine:
    engine, app = f"django_jwtsession.backends.{name}", "django_jwtsession"
    return Engine(engine, (app,), (OURS,), OUR_AUTH, options, revocable=True)


def _django(name: str, **kwargs: Any) -> Engine:
    return Engine(f"django.contrib.sessions.backends.{name}", **kwargs)


def _peer(package: str) -> Engine:
    middleware = (f"{package}.middleware.SessionMiddleware",)
    return Engine(f"{package}.backends.db", (package,), middleware, package=package, revocable=True)


ENGINES = {
    "none": Engine("", middleware=()),  # the control: the baseline against itself
    "cookie": _ours("cookie"),
    "cookie HS256": _ours("cookie", ALGORITHMS=["HS256"]),
    "db": _ours("db"),
    "hybrid": _ours("hybrid"),
    # Its visitor's session is bound to a device; the proof lasts as long as a run.
    "hybrid strict": replace(
        _ours("hybrid"),
        apps=("django_jwtsession", "django_jwtsession.contrib.dbsc"),
        settings={"DBSC": {"MODE": "strict", "MAX_AGE": 24 * 60 * 60}},
    ),
    "django signed_cookies": _django("signed_cookies"),
    "django db": _django("db", revocable=True),
    "django cached_db": _django("cached_db", revocable=True, package="redis"),
    "django cache": _django("cache", revocable=True, package="redis"),
    "user_sessions": _peer("user_sessions"),
    "qsessions": _peer("qsessions"),
    # Lists Django's sessions; to note each request in them is off by default.
    "allauth.usersessions": Engine(
        DB,
        ("django.contrib.sessions", "allauth", "allauth.account", "allauth.usersessions"),
        (
            STOCK,
            STOCK_AUTH,
            "allauth.account.middleware.AccountMiddleware",
            "allauth.usersessions.middleware.UserSessionsMiddleware",
        ),
        package="allauth",
        revocable=True,
    ),
    # A JWT around the key of Django's session; its middleware asks for request.user.
    "session_jwt": Engine(
        DB,
        ("django.contrib.sessions", "django_session_jwt"),
        ("django_session_jwt.middleware.SessionMiddleware", STOCK_AUTH),
        settings={
            "DJANGO_SESSION_JWT": {"EXPIRES": 8 * 60 * 60, "FIELDS": [("id", "id", "user_id")]}
        },
        package="django_session_jwt",
        revocable=True,
    ),
}


def configure(engine: Engine, database_url: str, redis_url: str, asgi: bool) -> None:
    """Set Django up for `engine`.

    A database URL ends in ?durable to wait for the disk, in ?prepared to prepare statements.
    """
    settings.configure(
        SECRET_KEY="a-benchmark-has-no-secrets-but-needs-a-key-of-this-length",
        USE_TZ=True,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=list(engine.middleware),
        DATABASES={"default": _database(database_url, asgi)},
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": redis_url,
            }
        },
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *engine.apps],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SESSION_ENGINE=engine.session_engine,
        JWTSESSION=engine.options,
        **engine.settings,
    )


def _database(url: str, asgi: bool) -> dict[str, Any]:
    parts = urlsplit(url)
    kept = {"CONN_MAX_AGE": 0 if asgi else None}
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path, **kept}
    flags = parts.query.split("&")
    # A disk's fsync takes 0.2 to 8 ms, the same for every engine, and is most of the noise.
    options: dict[str, Any] = {} if "durable" in flags else {"options": "-c synchronous_commit=off"}
    if "prepared" in flags:  # the server keeps the plans of statements; see docs/performance.md
        options |= {"server_side_binding": True, "prepare_threshold": 1}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": {**options, "pool": {"min_size": 1, "max_size": 4}} if asgi else options,
        **kept,
    }


def prepare(engine: Engine) -> None:
    """Make the tables and the user; after `django.setup()`."""
    from django.contrib.auth import get_user_model, user_logged_in
    from django.contrib.auth.models import update_last_login
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    user, _ = get_user_model().objects.get_or_create(username="ada")
    # Django writes the user's row at each login, whatever the engine.
    user_logged_in.disconnect(update_last_login, dispatch_uid="update_last_login")
    if engine.package == "allauth":
        from allauth.account.signals import user_logged_in as allauth_logged_in

        # What its own login views send.
        user_logged_in.connect(
            lambda sender, request, user, **_: allauth_logged_in.send(
                sender, request=request, user=user
            ),
            weak=False,
        )
    user.backend = "django.contrib.auth.backends.ModelBackend"
    Visitor.user = user


def served() -> Any:
    """Return the site as an application for gunicorn or uvicorn; load.py sets the environment."""
    import django

    engine = ENGINES[os.environ["BENCH_ENGINE"]]
    asgi = os.environ["BENCH_INTERFACE"] == "asgi"
    configure(engine, os.environ["BENCH_DATABASE"], os.environ["BENCH_REDIS"], asgi)
    django.setup()
    with ThreadPoolExecutor(1) as thread:  # uvicorn calls this within its event loop
        thread.submit(prepare, engine).result()
        thread.submit(connections.close_all).result()
    if asgi:
        from django.core.handlers.asgi import ASGIHandler

        return ASGIHandler()
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()


class Visitor:
    """Who logs in; set once the user exists."""

    user: Any = None


def answer(request: HttpRequest) -> HttpResponse:
    """Return "ok", and the number of the visitor that a load generator asked as, if any."""
    return HttpResponse("ok", headers={"X-Visitor": request.META.get("QUERY_STRING", "")})


def plain(request: HttpRequest) -> HttpResponse:
    return answer(request)


def read(request: HttpRequest) -> HttpResponse:
    request.session.get("cart")
    return answer(request)


def user(request: HttpRequest) -> HttpResponse:
    request.session.get("cart")
    return HttpResponse("ok", status=200 if request.user.is_authenticated else 403)


def write(request: HttpRequest) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return answer(request)


def log_in(request: HttpRequest) -> HttpResponse:
    login(request, Visitor.user)
    request.session["cart"] = [{"id": 1071, "quantity": 2}, {"id": 88, "quantity": 1}]
    return answer(request)


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return answer(request)


def bind(request: HttpRequest) -> HttpResponse:
    from benchmarks import bound  # its model needs the app

    return bound.bind(request, answer(request))


async def aplain(request: HttpRequest) -> HttpResponse:
    return answer(request)


async def aread(request: Any) -> HttpResponse:
    await request.session.aget("cart")
    return answer(request)


async def auser(request: Any) -> HttpResponse:
    await request.session.aget("cart")
    found = await request.auser()
    return HttpResponse("ok", status=200 if found.is_authenticated else 403)


async def awrite(request: Any) -> HttpResponse:
    await request.session.aset("count", await request.session.aget("count", 0) + 1)
    return answer(request)


async def alog_in(request: Any) -> HttpResponse:
    await alogin(request, Visitor.user)
    await request.session.aset("cart", [{"id": 1071, "quantity": 2}, {"id": 88, "quantity": 1}])
    return answer(request)


async def alog_out(request: HttpRequest) -> HttpResponse:
    await alogout(request)
    return answer(request)


_PAGES: dict[str, tuple[Any, Any]] = {
    "plain": (plain, aplain),
    "read": (read, aread),
    "user": (user, auser),
    "write": (write, awrite),
    "login": (log_in, alog_in),
    "logout": (log_out, alog_out),
    "bind": (bind, bind),
}
urlpatterns = [
    path(f"{interface}/{name}/", view)
    for name, views in _PAGES.items()
    for interface, view in zip(("wsgi", "asgi"), views, strict=True)
]
