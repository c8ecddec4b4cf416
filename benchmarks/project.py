"""The site that is measured: settings for one engine, a page for each scenario, a user.

Settings are as in production: no test environment, DEBUG off; connections stay open under WSGI, as
CONN_MAX_AGE lets them, and live for a request under ASGI, where each request has a thread of its
own and Django advises against keeping them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import alogin, alogout, login, logout
from django.http import HttpRequest, HttpResponse
from django.urls import path

STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
STOCK_AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS = "django_jwtsession.middleware.SessionMiddleware"
OUR_AUTH = "django_jwtsession.middleware.AuthenticationMiddleware"


@dataclass(frozen=True)
class Engine:
    """One row of the table; `package` is what must be installed for it."""

    session_engine: str
    app: str = "django.contrib.sessions"
    middleware: str = STOCK
    options: dict[str, Any] = field(default_factory=dict)
    package: str = "django"
    revocable: bool = False

    @property
    def ours(self) -> bool:
        return self.middleware == OURS

    @property
    def installed(self) -> bool:
        return find_spec(self.package) is not None


def _ours(name: str, **options: Any) -> Engine:
    path = f"django_jwtsession.backends.{name}"
    return Engine(path, "django_jwtsession", OURS, options, revocable=True)


def _django(name: str, **kwargs: Any) -> Engine:
    return Engine(f"django.contrib.sessions.backends.{name}", **kwargs)


def _peer(package: str) -> Engine:
    middleware = f"{package}.middleware.SessionMiddleware"
    return Engine(f"{package}.backends.db", package, middleware, package=package, revocable=True)


ENGINES = {
    "none": Engine("", middleware=""),  # the control: the baseline against itself
    "cookie": _ours("cookie"),
    "cookie HS256": _ours("cookie", ALGORITHMS=["HS256"]),
    "db": _ours("db"),
    "hybrid": _ours("hybrid"),
    "django signed_cookies": _django("signed_cookies"),
    "django db": _django("db", revocable=True),
    "django cached_db": _django("cached_db", revocable=True, package="redis"),
    "django cache": _django("cache", revocable=True, package="redis"),
    "user_sessions": _peer("user_sessions"),
    "qsessions": _peer("qsessions"),
}


def configure(engine: Engine, database_url: str, redis_url: str, asgi: bool) -> None:
    """Set Django up for `engine`. A database URL ends in ?durable to wait for the disk."""
    settings.configure(
        SECRET_KEY="a-benchmark-has-no-secrets-but-needs-a-key-of-this-length",
        USE_TZ=True,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[],
        DATABASES={"default": _database(database_url, asgi)},
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": redis_url,
            }
        },
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", engine.app],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SESSION_ENGINE=engine.session_engine,
        JWTSESSION=engine.options,
    )


def _database(url: str, asgi: bool) -> dict[str, Any]:
    parts = urlsplit(url)
    kept = {"CONN_MAX_AGE": 0 if asgi else None}
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path, **kept}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        # A disk's fsync takes 0.2 to 8 ms, the same for every engine, and is most of the noise.
        "OPTIONS": {} if parts.query == "durable" else {"options": "-c synchronous_commit=off"},
        **kept,
    }


class Visitor:
    """Who logs in; set once the user exists."""

    user: Any = None


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def read(request: HttpRequest) -> HttpResponse:
    request.session.get("cart")
    return HttpResponse("ok")


def user(request: HttpRequest) -> HttpResponse:
    request.session.get("cart")
    return HttpResponse(request.user.get_username())


def write(request: HttpRequest) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse("ok")


def log_in(request: HttpRequest) -> HttpResponse:
    login(request, Visitor.user)
    request.session["cart"] = [{"id": 1071, "quantity": 2}, {"id": 88, "quantity": 1}]
    return HttpResponse("ok")


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("ok")


async def aplain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


async def aread(request: Any) -> HttpResponse:
    await request.session.aget("cart")
    return HttpResponse("ok")


async def auser(request: Any) -> HttpResponse:
    await request.session.aget("cart")
    return HttpResponse((await request.auser()).get_username())


async def awrite(request: Any) -> HttpResponse:
    await request.session.aset("count", await request.session.aget("count", 0) + 1)
    return HttpResponse("ok")


async def alog_in(request: Any) -> HttpResponse:
    await alogin(request, Visitor.user)
    await request.session.aset("cart", [{"id": 1071, "quantity": 2}, {"id": 88, "quantity": 1}])
    return HttpResponse("ok")


async def alog_out(request: HttpRequest) -> HttpResponse:
    await alogout(request)
    return HttpResponse("ok")


urlpatterns = [
    path("wsgi/plain/", plain),
    path("wsgi/read/", read),
    path("wsgi/user/", user),
    path("wsgi/write/", write),
    path("wsgi/login/", log_in),
    path("wsgi/logout/", log_out),
    path("asgi/plain/", aplain),
    path("asgi/read/", aread),
    path("asgi/user/", auser),
    path("asgi/write/", awrite),
    path("asgi/login/", alog_in),
    path("asgi/logout/", alog_out),
]
