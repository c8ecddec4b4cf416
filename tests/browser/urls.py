"""The example, and a page that browsers may keep, to compare with."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import include, path

from django_jwtsession.contrib.dbsc import device_bound


def kept(request: HttpRequest) -> HttpResponse:
    """Greet the user without a word on caching."""
    return HttpResponse(f"<title>Kept</title><h1>Hello, {request.user}</h1>")


def ending(request: HttpRequest) -> HttpResponse:
    """Let the session end in seconds (`?8`); its page warns of it 4 s before."""
    request.session.set_expiry(int(request.META["QUERY_STRING"]))
    context = {"warn": 4, "login_url": "/login?by=name"}
    return HttpResponse(
        f"<title>Ending</title>{render_to_string('jwtsession/session_end.html', context)}"
        "<h1>Ending</h1><textarea aria-label='Notes'></textarea>"
    )


def proof(request: HttpRequest) -> HttpResponse:
    """Tell who asks and whether the device has proved its key; `?name` stores that."""
    if name := request.META["QUERY_STRING"]:
        request.session[name] = True
    session: Any = request.session
    is_proved = session.device_bound is not None
    names = " ".join(key for key, _ in session.items() if not key.startswith("_"))
    user = request.user.get_username() or "nobody"
    return HttpResponse(f"{user}, {'proved' if is_proved else 'not proved'} {names}".strip())


def login_of(request: HttpRequest) -> HttpResponse:
    """Log the user of a name in, whoever was logged in before."""
    user = get_user_model().objects.get(username=request.META["QUERY_STRING"])
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return redirect("/proof")


@device_bound  # type: ignore[untyped-decorator]
def guarded(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"guarded, for {request.user.get_username()}")


@device_bound(max_age=300)  # type: ignore[untyped-decorator]
def guarded_well(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"guarded well, for {request.user.get_username()}")


urlpatterns = [
    path("proof", proof),
    path("slow", proof),
    path("login-of", login_of),
    path("guarded", guarded),
    path("guarded-well", guarded_well),
    path("kept", kept),
    path("ending", ending),
    path("", include("example_project.urls")),
]
