"""Login and logout. Classes derive from Django's auth views and take their attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import logout, views
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.generic import View

from .language import InOneLanguage

if TYPE_CHECKING:
    _View = View
else:
    _View = object

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


# Django's marks are on its own dispatch() and have to be repeated for ours: LoginRequiredMiddleware
# would send the login page to itself, and a visitor whose session has ended to the login by a POST.
@method_decorator([login_not_required, never_cache], name="dispatch")
class LoginView(InOneLanguage, SameSiteMixin, views.LoginView):
    """Django's LoginView with this package's template, refused to other sites' forms."""

    template_name = "jwtsession/login.html"

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
