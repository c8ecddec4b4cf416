"""The example, and a page that browsers may keep, to compare with."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def kept(request: HttpRequest) -> HttpResponse:
    """Greet the user without a word on caching."""
    return HttpResponse(f"<title>Kept</title><h1>Hello, {request.user}</h1>")


urlpatterns = [path("kept", kept), path("", include("example_project.urls"))]
