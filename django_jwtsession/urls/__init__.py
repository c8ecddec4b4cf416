"""The pages of one's own sessions: ``path("", include("django_jwtsession.urls"))``.

No login among them: beside a site's own, one that asks for the password alone would be a way round
a second factor. Sites that want ours include `django_jwtsession.urls.login` as well.
"""

from __future__ import annotations

from django.urls import path

from ..pages import confirm, json, sessions

app_name = "jwtsession"
urlpatterns = [
    path("confirm/", confirm.ConfirmView.as_view(), name="confirm"),
    path("session/", json.session, name="session"),
    path("session/sessions/", json.SessionsJSON.as_view(), name="sessions_json"),
    path("session/sessions/<str:sid>/", json.SessionsJSON.as_view(), name="session_json"),
    path("sessions/", sessions.SessionsView.as_view(), name="sessions"),
    path("sessions/history/", sessions.HistoryView.as_view(), name="history"),
    path("sessions/end-others/", sessions.EndOthersView.as_view(), name="end_others"),
    path("sessions/end-all/", sessions.EndAllView.as_view(), name="end_all"),
    path("sessions/<str:sid>/end/", sessions.EndSessionView.as_view(), name="end_session"),
    path("sessions/<str:sid>/name/", sessions.NameView.as_view(), name="name"),
]
