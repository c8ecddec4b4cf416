"""The user's own pages: sessions on each device, what happened to them, the password again."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import RedirectURLMixin, redirect_to_login
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, ListView, TemplateView, View

from ..models.tables import SessionEvent
from ..revocation.ending import revoke_user_sessions
from ..revocation.reasons import EndReason
from . import listing
from . import stepup as decorators
from .forms import ConfirmForm
from .login import SameSiteMixin

SESSIONS = "jwtsession:sessions"


@method_decorator(never_cache, name="dispatch")
class SessionsView(LoginRequiredMixin, ListView):  # type: ignore[type-arg]
    """The sessions of the user, this one first."""

    template_name = "jwtsession/sessions.html"
    context_object_name = "sessions"
    paginate_by = 20

    def get_queryset(self) -> Any:
        return listing.sessions_of(self.request)

    def paginate_queryset(self, queryset: Any, page_size: int) -> Any:
        """Show the last page where the one asked for has gone with its sessions."""
        paginator = self.get_paginator(queryset, page_size)
        page = paginator.get_page(self.request.GET.get(self.page_kwarg))
        return paginator, page, page.object_list, page.has_other_pages()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(others=len(self.object_list) - 1, **kwargs)


@method_decorator(never_cache, name="dispatch")
class HistoryView(LoginRequiredMixin, ListView):  # type: ignore[type-arg]
    """What happened to the user's sessions, newest first."""

    template_name = "jwtsession/history.html"
    context_object_name = "events"
    paginate_by = 30

    def get_queryset(self) -> Any:
        events = SessionEvent.objects.using(router.db_for_write(SessionEvent))
        return events.filter(user=self.request.user.pk).order_by("-created_at", "-pk")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        own_sid = getattr(self.request.session, "sid", None)
        return super().get_context_data(own_sid=own_sid, own_id=self.request.user.pk, **kwargs)


@method_decorator(never_cache, name="dispatch")
class EndSessionView(SameSiteMixin, LoginRequiredMixin, View):
    """Ends one session of the user, by POST; for others' sessions it answers 404."""

    http_method_names = ("post", "options")
    success_url: str = SESSIONS

    def post(self, request: HttpRequest, sid: str) -> HttpResponse:
        if sid == getattr(request.session, "sid", None):
            return leave(request, _("You have been signed out."))
        ended = listing.end_session(request, sid)
        if ended is not None:
            text = _("The session was ended: %(device)s.") % {"device": ended.words}
            messages.success(request, text, fail_silently=True)
        elif listing.was_of_user(request, sid):  # a double click, a page that is old
            messages.info(request, _("That session has ended already."), fail_silently=True)
        else:
            raise Http404
        return HttpResponseRedirect(self.get_success_url())

    def get_success_url(self) -> str:
        """Return the list, at the page that the form was on."""
        url, page = resolve_url(self.success_url), self.request.POST.get("page", "")
        is_number = page.isascii() and page.isdigit() and len(page) < 5
        return f"{url}?page={page}" if is_number and "?" not in url else url

    def handle_no_permission(self) -> Any:
        return redirect_to_login(resolve_url(self.success_url))  # this address has no page


@method_decorator(never_cache, name="dispatch")
class EndOthersView(SameSiteMixin, LoginRequiredMixin, decorators.FreshLoginMixin, TemplateView):
    """Ends all sessions of the user but this one, by POST; asks whether to, by GET."""

    template_name = "jwtsession/end_others.html"
    success_url: str = SESSIONS

    def get_return_url(self) -> str:
        return self.request.path  # which asks whether to do what the form wanted

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = len(listing.sessions_of(self.request)) - 1
        return super().get_context_data(others=others, **kwargs)

    def post(self, request: HttpRequest) -> HttpResponse:
        revoke_user_sessions(
            request.user, keep=request.session, by=request.user, reason=EndReason.USER
        )
        messages.success(request, _("All other sessions were ended."), fail_silently=True)
        return HttpResponseRedirect(resolve_url(self.success_url))


class EndAllView(EndOthersView):
    """Ends all sessions of the user, this one as well."""

    template_name = "jwtsession/end_all.html"

    def post(self, request: HttpRequest) -> HttpResponse:
        revoke_user_sessions(request.user, by=request.user, reason=EndReason.USER)
        return leave(request, _("All your sessions were ended."))


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class ConfirmView(SameSiteMixin, LoginRequiredMixin, RedirectURLMixin, FormView):  # type: ignore[type-arg]
    """Asks for the password of the user, notes it as a login of now, and leads back."""

    form_class = ConfirmForm
    template_name = "jwtsession/confirm.html"
    next_page = SESSIONS

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["redirect_field_name"] = self.redirect_field_name
        context["next"] = self.get_redirect_url()
        context["login_url"] = resolve_url(settings.LOGIN_URL)
        return context

    def form_valid(self, form: Any) -> HttpResponse:
        decorators.confirm(self.request)
        return HttpResponseRedirect(self.get_success_url())


def leave(request: HttpRequest, message: str) -> HttpResponse:
    """End the session of this request and go where a logout goes."""
    logout(request)
    messages.success(request, message, fail_silently=True)
    return HttpResponseRedirect(resolve_url(settings.LOGOUT_REDIRECT_URL or settings.LOGIN_URL))
