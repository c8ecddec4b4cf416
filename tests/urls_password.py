"""The pages of tests/urls.py, and Django's own for a new password."""

from __future__ import annotations

from django.contrib.auth.views import PasswordChangeView
from django.urls import path

from .urls import urlpatterns as pages

urlpatterns = [
    path("password/", PasswordChangeView.as_view(success_url="/"), name="password_change"),
    *pages,
]
