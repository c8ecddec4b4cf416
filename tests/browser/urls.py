"""The example, and a page that browsers may keep, to compare with."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import include, path


def kept(request: HttpRequest) -> HttpResponse:
    """Greet the user without a word on caching."""
    return HttpResponse(f"<title>Kept</title><h1>Hello, {request.user}</h1>")


def ending(request: HttpRequest) -> HttpResponse:
    """Let the session end in seconds (`?8`); its page warns of it 4 s before."""
    request.session.set_expiry(int(request.META["QUERY_STRING"]))
    context = {"warn": 4, "login_url": "/login"}
    return HttpResponse(
        f"<title>Ending</title>{render_to_string('jwtsession/session_end.html', context)}"
        "<h1>Ending</h1><textarea aria-label='Notes'></textarea>"
    )


urlpatterns = [
    path("kept", kept),
    path("ending", ending),
    path("", include("example_project.urls")),
]
