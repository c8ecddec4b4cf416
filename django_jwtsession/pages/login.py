"""Login, logout, and what front ends ask: the session as JSON, the public keys.

Classes derive from Django's auth views and take their attributes; see urls.py and well_known.py.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import logout, views
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import condition, require_safe
from django.views.decorators.vary import vary_on_cookie
from django.views.generic import View

from ..backends.base import TokenSession
from ..conf import get_config

if TYPE_CHECKING:
    _View = View
else:
    _View = object

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# Verifiers fetch the keys again when they meet an unknown `kid`; the hour spares the others. A new
# key is listed at least this long before it issues (caches), a dropped one is believed this long.
_JWKS_MAX_AGE = 3600


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
            raise PermissionDenied(_("This request was sent by another site."))
        return super().dispatch(request, *args, **kwargs)


# Django's marks are on its own dispatch() and have to be repeated for ours: LoginRequiredMiddleware
# would send the login page to itself, and a visitor whose session has ended to the login by a POST.
@method_decorator([login_not_required, never_cache], name="dispatch")
class LoginView(SameSiteMixin, views.LoginView):
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


@login_not_required
@never_cache
@vary_on_cookie
@require_safe
def session(request: HttpRequest) -> JsonResponse:
    """Tell a front end who is logged in and until when, and extend the session when that is due.

    Answers {"authenticated", "sub", "sid", "exp"}: `sub` is the user's pk as a string, `sid` the
    session's id, `exp` the Unix time at which it ends if it is not used again; null where there is
    none. The hybrid engine adds `rv`, until when the cookie's copy may be trusted.
    """
    store = request.session
    if isinstance(store, TokenSession):
        _renew(store)  # before the user is read: this may find that the session has ended
    user = getattr(request, "user", None)
    authenticated = user is not None and user.is_authenticated and not store.is_empty()
    answer: dict[str, Any] = {
        "authenticated": authenticated,
        "sub": str(user.pk) if user is not None and authenticated else None,
        "sid": None,
        "exp": None,
    }
    if isinstance(store, TokenSession):
        answer |= _times(store)
    return JsonResponse(answer)


def _renew(store: TokenSession) -> None:
    """Do now what the middleware would do with the response, so that the answer tells its outcome.

    Without our middleware (only it sets `environ`) no cookie would follow, and nothing is done.
    """
    if store.sid is None or store.environ is None:
        return
    if not store.expires_at:
        store.revalidate()  # hybrid: the cookie's copy does not say when the row ends
    now = time.time()
    if store.refresh_due(now):
        store.refresh()
    elif store.sid is not None and store.reissue_due(now):
        store.reissue()


def _times(store: TokenSession) -> dict[str, Any]:
    """Return `sid`, `exp` and, where the engine has it, `rv`."""
    if store.sid is None:
        return {}
    answer: dict[str, Any] = {"sid": store.sid, "exp": int(store.expires_at or 0) or None}
    if store.trusted_until is not None:
        answer["rv"] = int(store.trusted_until)
    return answer


def _jwks_body(request: HttpRequest) -> bytes:
    return json.dumps(get_config().codec.keys.jwks).encode()


def _jwks_etag(request: HttpRequest) -> str:
    return f'"{hashlib.sha256(_jwks_body(request)).hexdigest()[:32]}"'


@login_not_required
@require_safe
@cache_control(public=True, max_age=_JWKS_MAX_AGE)
@condition(etag_func=_jwks_etag)
def jwks(request: HttpRequest) -> HttpResponse:
    """Publish the public halves of the PEM keys (RFC 7517 section 5); secrets have none."""
    return HttpResponse(_jwks_body(request), content_type="application/jwk-set+json")
