"""The example's pages, without trailing slashes; the package's own URLs come after them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

from django_jwtsession.pages.login import LoginView, LogoutView

from . import views

urlpatterns = [
    path("", TemplateView.as_view(template_name="example/home.html"), name="home"),
    path("signup", views.SignUpView.as_view(), name="signup"),
    path(
        "login",
        LoginView.as_view(template_name="example/login.html", redirect_authenticated_user=True),
        name="login",
    ),
    path("logout", LogoutView.as_view(), name="logout"),
    path("profile", views.ProfileView.as_view(), name="profile"),
    path("password", views.PasswordView.as_view(), name="password_change"),
    path("events", views.events, name="events"),
    path("profile/refresh", views.RefreshView.as_view(), name="refresh"),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("django_jwtsession.urls")),
]
