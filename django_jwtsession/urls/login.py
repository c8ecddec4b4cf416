"""Login and logout: ``path("", include("django_jwtsession.urls.login"))``.

Named `login` and `logout`, as in `django.contrib.auth.urls`, in whose place they stand.
"""

from __future__ import annotations

from django.urls import path

from ..pages.login import LoginView, LogoutView

urlpatterns = [
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
