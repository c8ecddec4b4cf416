"""The two addresses by name, for sites that list what they serve.

Nothing has to include them: the session middleware answers there (see hooks.py).
"""

from django.urls import path

from . import proofs, views

app_name = "dbsc"
urlpatterns = [
    path(views.START[1:], views.start, name="start"),
    path(proofs.REFRESH[1:], views.refresh, name="refresh"),
]
