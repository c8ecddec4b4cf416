"""The page of `urls_engines`, and the package's login page beside it."""

from __future__ import annotations

from django.urls import include, path

from tests import urls_engines

urlpatterns = [
    *urls_engines.urlpatterns,
    path("", include("django_jwtsession.urls.login")),
]
