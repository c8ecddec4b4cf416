"""Login and logout. Classes derive from Django's auth views and take their attributes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib.auth import logout, views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from django.utils.translation import pgettext, pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.generic import View

from ..backends.answer import tell_of_failure
from ..backends.arrival import session_of
from ..backends.base import TokenSession
from ..backends.options import options
from ..history import later
from ..models.registry import session_model
from ..models.savepoints import savepoint
from ..models.writable import takes_no_writes
from ..policy import LoginRefused
from .language import InOneLanguage

if TYPE_CHECKING:
    _View = View
else:
    _View = object

_TOO_MANY = pgettext_lazy(
    "sessions",
    "You are signed in on as many devices as are allowed. Sign out on one of them, then try again.",
)
_NOT_NOW = pgettext_lazy("sessions", "Nobody can sign in at the moment. Try again in some minutes.")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class SameSiteMixin(_View):
    """Refuses requests that another site makes a browser send, by Fetch Metadata.

    A second line beside CSRF tokens: it also holds where a token has leaked, and for logins, where
    the visitor has no secret of their own yet. Browsers send Sec-Fetch-Site over https and to
    localhost; a request without it is left to the CSRF check.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """As Django's. Raises PermissionDenied (403)."""
        cross_site = request.headers.get("Sec-Fetch-Site") == "cross-site"
        if cross_site and request.method not in _SAFE_METHODS:
            raise PermissionDenied(pgettext("sessions", "This request was sent by another site."))
        return super().dispatch(request, *args, **kwargs)


def is_same_origin(request: HttpRequest) -> bool:
    """Tell whether a page of this very host sent a request, by its Origin and Fetch Metadata.

    For what has no CSRF token: a request without an Origin is not one of these.
    """
    own = [f"{scheme}://{request.get_host()}" for scheme in ("https", request.scheme)]
    is_own = request.headers.get("Origin") in own
    return is_own and request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


class LoginForm(AuthenticationForm):
    """Django's, with "Keep me signed in" where the site lets sessions end with the browser."""

    persistent = forms.BooleanField(
        label=pgettext_lazy("sessions", "Keep me signed in"), label_suffix="", required=False
    )

    def __init__(self, request: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        is_ours = isinstance(getattr(request, "session", None), TokenSession)
        if not (is_ours and options.expire_at_browser_close):
            del self.fields["persistent"]


# Django's marks are on its own dispatch() and have to be repeated for ours: LoginRequiredMiddleware
# would send the login page to itself, and a visitor whose session has ended to the login by a POST.
@method_decorator([login_not_required, never_cache], name="dispatch")
class LoginView(InOneLanguage, SameSiteMixin, views.LoginView):
    """Django's LoginView with this package's template, refused to other sites' forms."""

    template_name = "jwtsession/login.html"
    form_class = LoginForm

    def form_valid(self, form: Any) -> HttpResponse:
        """Log in; where POLICY or the database refuses it, show the form again, which says why."""
        session = self.request.session
        if isinstance(session, TokenSession):
            try:
                session.admit(form.get_user(), self.request)
            except LoginRefused:
                form.add_error(None, _TOO_MANY)
                return self.form_invalid(form)
            session.wants_persistent = form.cleaned_data.get("persistent", False)
        using = router.db_for_write(session_model())
        try:
            # Not in the one around a test case, whose commit what follows a login would wait for.
            with savepoint(using) if later.in_transaction(using) else nullcontext():
                response = super().form_valid(form)
                self._save()
                return response
        except DatabaseError as error:
            if not takes_no_writes(error):
                raise
            tell_of_failure(error, is_optional=False)
            return self._not_now(form)

    def _save(self) -> None:
        """Write the session while there is a form to say that it could not be done.

        Django's own middleware, which sends a cookie for what is modified alone, does both itself.
        """
        session: Any = self.request.session
        is_ours = later.current() is not None
        if is_ours and getattr(session, "has_rows", False) and session.modified:
            session.save()
            session.modified, session.cookie_due = False, True

    def _not_now(self, form: Any) -> HttpResponse:
        """Show the form again with a 503; nobody is logged in.

        The session is as it came, or has ended where the login had been stored in part.
        """
        request: Any = self.request
        store, failed = type(request.session), request.session
        if getattr(failed, "began_epoch", False):
            with suppress(DatabaseError):
                failed.flush()
        request.session = session_of(store, request) or store(request.COOKIES.get(options.name))
        request.session.environ = request.META
        request.user = AnonymousUser()
        form.add_error(None, _NOT_NOW)
        response = self.form_invalid(form)
        response.status_code = 503
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add `next` and `redirect_field_name` for the form, whatever the field is called."""
        context = super().get_context_data(**kwargs)
        context["redirect_field_name"] = self.redirect_field_name
        context["next"] = self.get_redirect_url()
        return context


@method_decorator([login_not_required, never_cache], name="dispatch")
class LogoutView(SameSiteMixin, views.LogoutView):
    """Ends the session by POST, then goes to `next`, LOGOUT_REDIRECT_URL or LOGIN_URL.

    `clear_site_data` lists what browsers shall forget of this origin, such as ("cache", "storage")
    (https://www.w3.org/TR/clear-site-data/). "cookies" empties every subdomain of the registrable
    domain, so the default is none.
    """

    clear_site_data: Sequence[str] = ()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        logout(request)
        response = HttpResponseRedirect(self.get_success_url())
        if self.clear_site_data:
            response.headers["Clear-Site-Data"] = ", ".join(f'"{d}"' for d in self.clear_site_data)
        return response

    def get_success_url(self) -> str:
        """Return where to go; never back to this view, which does not answer GET."""
        url = self.get_redirect_url()
        if url.partition("?")[0] == self.request.path:
            url = ""
        return url or self.get_default_redirect_url()

    def get_default_redirect_url(self) -> str:
        return resolve_url(self.next_page or settings.LOGOUT_REDIRECT_URL or settings.LOGIN_URL)
