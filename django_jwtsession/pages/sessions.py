"""The user's own pages: sessions on each device, what happened to them, ending them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.generic import FormView, ListView, TemplateView

from ..devices.locations import location
from ..models.tables import SessionEvent
from ..revocation.ending import revoke_user_sessions
from ..revocation.reasons import EndReason
from . import listing, names, stepup
from .confirm import SESSIONS, OwnProofView
from .forms import NameForm
from .language import InOneLanguage
from .login import SameSiteMixin

# Where the focus goes: what is said of what was done.
_DONE = "#jwtsession-messages"
# Those of Django's auth urls and of allauth.
_PASSWORD_PAGES = ("password_change", "account_change_password")


@method_decorator(never_cache, name="dispatch")
class SessionsView(InOneLanguage, LoginRequiredMixin, ListView):  # type: ignore[type-arg]
    """The sessions of the user by device, this one first.

    `password_url` leads to the page that changes the password; the site's own by default.
    """

    template_name = "jwtsession/sessions.html"
    context_object_name = "sessions"
    paginate_by = 20
    password_url: str | None = None

    def get_queryset(self) -> Any:
        return listing.sessions_of(self.request)

    def paginate_queryset(self, queryset: Any, page_size: int) -> Any:
        """Show the last page where the one asked for has gone with its sessions."""
        paginator = self.get_paginator(queryset, page_size)
        page = paginator.get_page(self.request.GET.get(self.page_kwarg))
        return paginator, page, page.object_list, page.has_other_pages()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {
            "number": len(self.object_list),
            "others": len(self.object_list) - 1,
            "devices": listing.groups_of(context["sessions"], self.object_list),
            "password_url": self.get_password_url(),
            **context,
        }

    def get_password_url(self) -> str:
        """Return the address of the page that changes the password, "" where there is none."""
        for name in [self.password_url] if self.password_url else _PASSWORD_PAGES:
            try:
                return resolve_url(name) if self.password_url else reverse(name)
            except NoReverseMatch:
                continue
        return ""

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        response: Any = super().render_to_response(context, **kwargs)
        own = next((one for one in self.object_list if one.is_own), None)
        if own is not None:
            names.remember(self.request, response, own.name)
        return response  # type: ignore[no-any-return]


@method_decorator(never_cache, name="dispatch")
class HistoryView(InOneLanguage, LoginRequiredMixin, ListView):  # type: ignore[type-arg]
    """What happened to the user's sessions, newest first."""

    template_name = "jwtsession/history.html"
    context_object_name = "events"
    paginate_by = 30

    def get_queryset(self) -> Any:
        events = SessionEvent.objects.using(router.db_for_write(SessionEvent))
        # A login on a new device says so itself.
        events = events.exclude(kind=SessionEvent.Kind.NEW_DEVICE)
        return events.filter(user=self.request.user.pk).order_by("-created_at", "-pk")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        own_sid = getattr(self.request.session, "sid", None)
        context = super().get_context_data(own_sid=own_sid, own_id=self.request.user.pk, **kwargs)
        context["events"] = self._with_sessions(context["events"])
        return context

    def _with_sessions(self, events: Any) -> list[SessionEvent]:
        """Let the lines of logins know the session that goes on, and can be ended there."""
        alive = {one.sid: one for one in listing.sessions_of(self.request)}
        found = list(events)
        for event in found:
            is_login = event.kind in SessionEvent.BEGINS
            event.session = alive.pop(event.sid, None) if is_login else None
            event.place = location(event.ip_address)
        return found


@method_decorator(never_cache, name="dispatch")
class EndSessionView(InOneLanguage, SameSiteMixin, LoginRequiredMixin, TemplateView):
    """Ends one session of the user, by POST; asks whether to, by GET; 404 for others' sessions.

    Others than this one need a login or proof of the last `max_login_age` seconds.
    """

    http_method_names = ("get", "head", "post", "options")
    template_name = "jwtsession/end_session.html"
    success_url: str = SESSIONS
    max_login_age: float = stepup.MAX_AGE

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        sid = kwargs["sid"]
        found = listing.find(request, sid)
        if found is None:
            return self.has_ended(sid)
        refusal = None if found.is_own else self.ask_for_proof()
        return refusal or self.render_to_response(self.get_context_data(session=found, **kwargs))

    def post(self, request: HttpRequest, sid: str) -> HttpResponseBase:
        if sid == getattr(request.session, "sid", None):
            return leave(request, pgettext("sessions", "You have been signed out."))
        if refusal := self.ask_for_proof():
            return refusal
        ended = listing.end_session(request, sid)
        if ended is None:
            return self.has_ended(sid)
        text = pgettext("sessions", "The session was ended: %(device)s.")
        name = names.names_of(request.user.pk).get(sid) or ended.words
        messages.success(request, text % {"device": name}, fail_silently=True)
        return HttpResponseRedirect(self.get_success_url())

    def ask_for_proof(self) -> HttpResponseBase | None:
        """Return the way to the page that asks, from where one comes back to the question."""
        wanted = stepup.Wanted(self.max_login_age)
        return stepup.ask_for_proof(self.request, wanted, self.request.path)

    def has_ended(self, sid: str) -> HttpResponse:
        """Answer a double click, or a page that is old. Raises Http404 for others' sessions."""
        if not listing.was_of_user(self.request, sid):
            raise Http404
        text = pgettext("sessions", "That session has ended already.")
        messages.info(self.request, text, fail_silently=True)
        return HttpResponseRedirect(self.get_success_url())

    def get_success_url(self) -> str:
        """Return the list, at the page that the form was on."""
        return at_page(resolve_url(self.success_url), self.request.POST.get("page", "")) + _DONE


@method_decorator(never_cache, name="dispatch")
class NameView(InOneLanguage, SameSiteMixin, stepup.FreshLoginMixin, FormView):  # type: ignore[type-arg]
    """Gives a device a name. A name lends trust: a stolen cookie alone must not give one."""

    form_class = NameForm
    template_name = "jwtsession/name.html"
    success_url = SESSIONS

    def get_return_url(self) -> str:
        return self.request.path

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        # Before anything else; who is not signed in has none.
        self.session = (
            listing.find(request, kwargs["sid"]) if request.user.is_authenticated else None
        )
        if request.user.is_authenticated and self.session is None:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get_initial(self) -> dict[str, Any]:
        return {"name": self.session.name if self.session else ""}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(session=self.session, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        sid, name = self.kwargs["sid"], form.cleaned_data["name"]
        names.give(self.request, sid, name)
        messages.success(self.request, _named(name), fail_silently=True)
        # The focus goes to its card.
        response = HttpResponseRedirect(f"{resolve_url(self.success_url)}#session-{sid}")
        if self.session is not None and self.session.is_own:
            names.remember(self.request, response, name)
        return response


class EndOthersView(OwnProofView):
    """Ends all sessions of the user but this one, with a proof in the form that asks for it."""

    template_name = "jwtsession/end_others.html"
    success_url: str = SESSIONS

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = len(listing.sessions_of(self.request)) - 1
        return super().get_context_data(others=others, **kwargs)

    def proved(self) -> HttpResponseBase:
        user = self.request.user
        revoke_user_sessions(user, keep=self.request.session, by=user, reason=EndReason.USER)
        text = pgettext("sessions", "All other sessions were ended.")
        messages.success(self.request, text, fail_silently=True)
        return HttpResponseRedirect(resolve_url(self.success_url) + _DONE)


class EndAllView(EndOthersView):
    """Ends all sessions of the user, this one as well."""

    template_name = "jwtsession/end_all.html"

    def proved(self) -> HttpResponseBase:
        revoke_user_sessions(self.request.user, by=self.request.user, reason=EndReason.USER)
        return leave(self.request, pgettext("sessions", "All your sessions were ended."))


def leave(request: HttpRequest, message: str) -> HttpResponse:
    """End the session of this request and go where a logout goes."""
    logout(request)
    messages.success(request, message, fail_silently=True)
    return HttpResponseRedirect(resolve_url(settings.LOGOUT_REDIRECT_URL or settings.LOGIN_URL))


def at_page(url: str, page: str) -> str:
    """Return the address of a list at a page, where that is a number."""
    is_number = page.isascii() and page.isdigit() and len(page) < 5
    return f"{url}?page={page}" if is_number and "?" not in url else url


def _named(name: str) -> str:
    if not name:
        return pgettext("sessions", "The device has no name any more.")
    return pgettext("sessions", "The device is now called %(name)s.") % {"name": name}
