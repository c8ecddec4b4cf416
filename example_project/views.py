"""Sign-up, the closed page, and a button that extends the session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import PasswordChangeView
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import CreateView, TemplateView, View

from django_jwtsession.devices import clients as devices


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class SignUpView(CreateView):  # type: ignore[type-arg]
    """Make an account, log it in, go to the profile."""

    form_class = UserCreationForm
    template_name = "example/signup.html"
    success_url = reverse_lazy("profile")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return redirect("profile")
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        login(self.request, self.object)
        return response


async def events(request: HttpRequest) -> StreamingHttpResponse:
    """Stream for as long as the session lives: a view that outlives what a request may trust.

    Serve it under ASGI. Asking costs no query but the feed's, once a second for the whole process.
    """
    session: Any = request.session
    if (await request.auser()).is_anonymous:
        raise PermissionDenied
    return StreamingHttpResponse(_until_revoked(session), content_type="text/event-stream")


async def _until_revoked(session: Any) -> AsyncIterator[str]:
    yield "event: open\ndata:\n\n"
    while not await session.ais_over():
        yield ": the session goes on\n\n"
        await asyncio.sleep(0.5)
    yield "event: ended\ndata:\n\n"


@method_decorator(never_cache, name="dispatch")
class ProfileView(LoginRequiredMixin, TemplateView):
    """Closed to anonymous visitors: who is logged in, on what, and until when."""

    template_name = "example/profile.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # A page that must know: the session as it is now, with its end, and not a copy of it.
        session: Any = request.session
        session.revalidate()
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        session: Any = self.request.session
        device = devices.describe(devices.user_agent(self.request.META))
        return super().get_context_data(
            device=devices.words(device.browser, device.os),
            engine=settings.SESSION_ENGINE.rpartition(".")[2],
            signed_in_at=datetime.fromtimestamp(session.auth_time, UTC),
            ends_at=datetime.fromtimestamp(session.expires_at, UTC),
            **kwargs,
        )


class PasswordView(SuccessMessageMixin, PasswordChangeView):  # type: ignore[type-arg]
    """Django's page for a new password; all other sessions of the user end with it."""

    success_url = reverse_lazy("profile")
    success_message = gettext_lazy("Your password was changed.")


class RefreshView(LoginRequiredMixin, View):
    """Extend the session by hand; a site that just goes on being used needs no button."""

    def post(self, request: HttpRequest) -> HttpResponse:
        session: Any = request.session
        if session.refresh():
            messages.success(request, gettext("Your session has been extended."))
        else:
            messages.info(request, gettext("Your session cannot be extended any further."))
        return redirect("profile")
