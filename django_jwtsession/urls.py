"""The pages: ``path("", include("django_jwtsession.urls"))``."""

from __future__ import annotations

from django.urls import path

from .pages import login as views
from .pages import sessions as views_sessions

app_name = "jwtsession"
urlpatterns = [
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
    path("confirm/", views_sessions.ConfirmView.as_view(), name="confirm"),
    path("session/", views.session, name="session"),
    path("sessions/", views_sessions.SessionsView.as_view(), name="sessions"),
    path("sessions/history/", views_sessions.HistoryView.as_view(), name="history"),
    path("sessions/end-others/", views_sessions.EndOthersView.as_view(), name="end_others"),
    path("sessions/end-all/", views_sessions.EndAllView.as_view(), name="end_all"),
    path("sessions/<str:sid>/end/", views_sessions.EndSessionView.as_view(), name="end_session"),
]
