"""Pages that every site has, and what tests ask of it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import views
from django.http import HttpRequest, JsonResponse
from django.urls import path

from django_jwtsession.models import SessionEvent


def who(request: HttpRequest) -> JsonResponse:
    """Say who is there, and what stands in the session under x."""
    session: Any = request.session
    if "x" in request.GET:
        session["x"] = request.GET["x"]
    return JsonResponse(
        {
            "user": request.user.get_username(),
            "x": session.get("x"),
            "sid": getattr(session, "sid", None),
        }
    )


PAGES = [
    path("who/", who),
    path("login/", views.LoginView.as_view(template_name="ecosystem/form.html", next_page="/who/")),
    path("logout/", views.LogoutView.as_view(next_page="/who/")),
    path(
        "password/",
        views.PasswordChangeView.as_view(template_name="ecosystem/form.html", success_url="/who/"),
    ),
]


def user_of(browser: Any) -> str:
    """Return who the browser is logged in as, "" for nobody."""
    name: str = browser.get("/who/").json()["user"]
    return name


def sid_of(browser: Any) -> str:
    sid: str = browser.get("/who/").json()["sid"]
    return sid


def sign_in(browser: Any, name: str, password: str) -> None:
    """Log in at the site's own page."""
    answer = browser.post("/login/", {"username": name, "password": password})
    assert answer.status_code == 302, answer.content


def happened(*kinds: str) -> list[tuple[str, Any, Any]]:
    """Return (kind, user's name, actor's name) of the history's lines, the oldest first."""
    lines = SessionEvent.objects.filter(kind__in=kinds) if kinds else SessionEvent.objects.all()
    rows = lines.order_by("pk").select_related("user", "actor")
    return [(row.kind, _name(row.user), _name(row.actor)) for row in rows]


def _name(user: Any) -> str | None:
    return None if user is None else str(user.get_username())
