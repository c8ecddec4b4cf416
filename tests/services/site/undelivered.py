"""Pages that begin an epoch, and whose answers are errors."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest

from .views import page


@page
def prove_and_fail(request: HttpRequest) -> None:
    """The password was right, and what comes after it is not."""
    user: Any = request.user
    login(request, user)
    raise RuntimeError("after the proof")


@page
def prove_in_vain(request: HttpRequest) -> None:
    """As under ATOMIC_REQUESTS: the error rolls the view's writes back."""
    user: Any = request.user
    with transaction.atomic():
        login(request, user)
        raise RuntimeError("in the transaction of the proof")


@page
def renew(request: HttpRequest) -> None:
    """Begin an epoch, with no proof."""
    request.session.cycle_key()
