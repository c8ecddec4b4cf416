"""Binds a visitor's session to a device, for the row "hybrid strict"."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils import timezone

from django_jwtsession.contrib.dbsc import proofs
from django_jwtsession.contrib.dbsc.models import Binding
from django_jwtsession.tokens.sid import uuid_from_sid

THUMBPRINT = "k" * 43


def bind(request: Any, response: HttpResponse) -> HttpResponse:
    """Do what a registration does, for a key that nobody has; set the proof's cookie."""
    session, now = request.session, timezone.now()
    Binding.objects.create(
        pk=uuid_from_sid(session.sid),
        jwk={},
        thumbprint=THUMBPRINT,
        algorithm="ES256",
        bound_at=now,
        last_proof_at=now,
    )
    session.jkt, session.cookie_due = THUMBPRINT, True
    proofs.give(response, session, THUMBPRINT)
    return response
