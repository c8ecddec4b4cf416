"""The public keys for other systems: ``path("", include("django_jwtsession.well_known"))``.

Apart from urls.py, because it belongs to the root of the site (RFC 8615) wherever the pages are.
"""

from __future__ import annotations

from django.urls import path

from .pages import json as views

urlpatterns = [path(".well-known/jwks.json", views.jwks, name="jwtsession_jwks")]
