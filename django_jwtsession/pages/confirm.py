"""Pages that ask for proof of who one is: `confirm/`, and what asks for it in its own form."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import RedirectURLMixin, redirect_to_login
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve, reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import npgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from . import stepup, throttle
from .confirmers import Confirmer, available
from .forms import ProofForm, refuse
from .language import InOneLanguage
from .login import SameSiteMixin

SESSIONS = "jwtsession:sessions"
# Which confirmer has led to its own page, and since when.
_BEGUN = "_jwtsession_begun"
_LONGEST_WAY = 900
_SALT = "django_jwtsession.pages.proof"


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class ProofView(InOneLanguage, SameSiteMixin, LoginRequiredMixin, FormView):  # type: ignore[type-arg]
    """Asks, by one of the registered confirmers, for proof of who one is; then proved() is called.

    `?by=name` chooses a confirmer; the first that has a form is shown by itself.
    """

    def get_methods(self) -> frozenset[str]:
        """Return what may be proved; empty: anything."""
        return frozenset()

    def proved(self) -> HttpResponseBase:
        """Return the answer to who has just proved it."""
        raise NotImplementedError

    def get_sign_in_url(self) -> str:
        """Return where those sign in again who can prove it in no other way."""
        return resolve_url(settings.LOGIN_URL)

    @cached_property
    def confirmers(self) -> list[Confirmer]:
        return available(self.request, self.get_methods())

    @cached_property
    def confirmer(self) -> Confirmer | None:
        """The one whose form the page shows."""
        with_form = [one for one in self.confirmers if one.form_class is not None]
        wanted = (self.request.POST or self.request.GET).get("by")
        chosen = [one for one in with_form if one.name == wanted]
        return next(iter(chosen or with_form), None)

    def get_form_class(self) -> type[forms.Form]:
        return (self.confirmer and self.confirmer.form_class) or ProofForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = [
            {"label": one.label, "url": self.get_choice_url(one)}
            for one in self.confirmers
            if one is not self.confirmer
        ]
        # Signing in proves no second factor: who has none is not sent round in circles.
        signs_in = not self.confirmers and not self.get_methods()
        return super().get_context_data(
            confirmer=self.confirmer, other_confirmers=others, signs_in=signs_in, **kwargs
        )

    def get_choice_url(self, confirmer: Confirmer) -> str:
        """Return where one goes to prove it by another confirmer."""
        if confirmer.form_class is not None:
            return f"{self.request.path}?{urlencode({'by': confirmer.name})}"
        query = {"by": confirmer.name, REDIRECT_FIELD_NAME: self.request.path}
        return f"{reverse('jwtsession:confirm')}?{urlencode(query)}"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if "sign_in_again" in request.POST:
            return self.sign_in_again()
        if self.confirmer is None:
            return self.get(request, *args, **kwargs)
        if seconds := throttle.wait(request):
            return self.slowed(seconds)
        form = self.get_form()
        return self.form_valid(form) if form.is_valid() else self.form_invalid(form)

    def form_valid(self, form: Any) -> Any:
        assert self.confirmer is not None
        throttle.forget(self.request)
        stepup.confirm(self.request, amr=self.confirmer.methods)
        return self.proved()

    def slowed(self, seconds: int) -> HttpResponse:
        """Answer that it is too early to try again (429)."""
        form = self.get_form()
        refuse(form, slow_words(seconds))
        response: HttpResponse = self.form_invalid(form)
        response.status_code = 429
        response.headers["Retry-After"] = str(seconds)
        return response

    def sign_in_again(self) -> HttpResponse:
        """Sign out first: many login pages send away who is signed in."""
        back = self.get_return_path()
        logout(self.request)
        return redirect_to_login(back, self.get_sign_in_url())

    def get_return_path(self) -> str:
        """Return where one comes back to after signing in again."""
        return self.request.path


class ConfirmView(RedirectURLMixin, ProofView):
    """Asks for proof of who one is, notes it, and leads back."""

    template_name = "jwtsession/confirm.html"
    next_page = SESSIONS

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        for one in self.confirmers:
            if one.form_class is None and request.GET.get("by") == one.name:
                request.session[_BEGUN] = [one.name, time.time()]
                return HttpResponseRedirect(one.begin(request, self._address(done=one.name)))
        if "done" in request.GET and self._has_finished():
            return self.proved()
        return super().get(request, *args, **kwargs)

    def _has_finished(self) -> bool:
        """Tell, once, whether the confirmer that was begun says that all is well, and note it."""
        name, since = self.request.session.pop(_BEGUN, ("", 0.0))
        if name != self.request.GET["done"] or time.time() - since > _LONGEST_WAY:
            return False
        for one in self.confirmers:
            if one.name == name and (proved := one.finish(self.request, since)):
                stepup.confirm(self.request, amr=proved)
                return True
        return False

    def get_methods(self) -> frozenset[str]:
        # Of the address, so of no weight: the page that is led to asks again.
        names = (self.request.POST or self.request.GET).get("methods", "")
        return frozenset(name for name in names.split(",") if name)

    def get_choice_url(self, confirmer: Confirmer) -> str:
        return self._address(by=confirmer.name)

    def _address(self, **more: str) -> str:
        """Return the address of this page, with what it was asked for."""
        query = {
            self.redirect_field_name: self.get_redirect_url(),
            "methods": ",".join(sorted(self.get_methods())),
            "back": self._back(),
        }
        query = {name: value for name, value in query.items() if value}
        return f"{self.request.path}?{urlencode(query | more)}"

    def _back(self) -> str:
        back: str = (self.request.POST or self.request.GET).get("back", "")
        return back if url_has_allowed_host_and_scheme(back, None) else ""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            redirect_field_name=self.redirect_field_name,
            next=self.get_redirect_url(),
            methods=",".join(sorted(self.get_methods())),
            back=self._back(),
            back_url=self._back() or resolve_url(self.next_page),
            **kwargs,
        )

    def get_return_path(self) -> str:
        return self.get_success_url()

    def proved(self) -> HttpResponseBase:
        return HttpResponseRedirect(with_ticket(self.request, self.get_success_url()))


def slow_words(seconds: int) -> str:
    """Say how long whoever tried too often has to wait."""
    text: str = npgettext(
        "sessions",
        "Too many wrong tries. Try again in %(seconds)d second.",
        "Too many wrong tries. Try again in %(seconds)d seconds.",
        seconds,
    )
    return text % {"seconds": seconds}


# --- proofs for one page alone -------------------------------------------------------------------


class OwnProofView(ProofView):
    """Takes a proof in its own form, however fresh the login is.

    A proof by a confirmer with pages of its own comes back as a ticket in the address, which only
    the browser gets that has made the proof: the session may have a thief's copy beside it.
    """

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(ticket=self._ticket() or "", **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if self._ticket():
            return self.proved()
        return super().post(request, *args, **kwargs)

    def _ticket(self) -> str | None:
        ticket: str | None = (self.request.POST or self.request.GET).get("proof")
        if not ticket:
            return None
        try:
            says = signing.loads(ticket, salt=_SALT, max_age=stepup.MAX_AGE)
        except signing.BadSignature:
            return None
        return ticket if says == _ticket_of(self.request, self.request.path) else None


def with_ticket(request: HttpRequest, url: str) -> str:
    """Return an address with the proof that was just made, where its view takes one."""
    path = url.partition("?")[0]
    try:
        view = getattr(resolve(path).func, "view_class", None)
    except Resolver404:
        return url
    if not (isinstance(view, type) and issubclass(view, OwnProofView)):
        return url
    ticket = signing.dumps(_ticket_of(request, path), salt=_SALT)
    return f"{path}?{urlencode({'proof': ticket})}"


def _ticket_of(request: HttpRequest, path: str) -> list[Any]:
    return [str(request.user.pk), getattr(request.session, "sid", None), path]
