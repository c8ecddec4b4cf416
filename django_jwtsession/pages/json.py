"""What front ends ask: session and sessions as JSON; and other systems: the public keys."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.decorators import decorator_from_middleware, method_decorator
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition, require_safe
from django.views.decorators.vary import vary_on_cookie
from django.views.generic import View

from ..backends.base import TokenSession
from ..backends.passive import is_passive
from ..conf import get_config
from ..revocation.ending import revoke_user_sessions
from ..revocation.reasons import EndReason
from . import confirmers, listing, throttle
from .login import SameSiteMixin
from .stepup import MAX_AGE, Wanted, confirm, confirm_url, is_fresh, return_url

# Verifiers fetch the keys again when they meet an unknown `kid`; the hour spares the others. A new
# key is listed at least this long before it issues (caches), a dropped one is believed this long.
_JWKS_MAX_AGE = 3600


@login_not_required
@never_cache
@vary_on_cookie
@require_safe
def session(request: HttpRequest) -> JsonResponse:
    """Tell a front end who is logged in and until when, and extend the session when that is due.

    `?extend` extends it whenever that gains any time; a passive request extends nothing.

    Answers {"authenticated", "sub", "sid", "exp"}: `sub` is the user's pk as a string, `sid` the
    session's id, `exp` the Unix time at which it ends if it is not used again; null where there is
    none. The hybrid engine adds `rv`, until when the cookie's copy may be trusted.
    """
    store = request.session
    if isinstance(store, TokenSession):
        _renew(store, request)  # before the user is read: this may find that the session has ended
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


def _renew(store: TokenSession, request: HttpRequest) -> None:
    """Do now what the middleware would do with the response, so that the answer tells its outcome.

    With `?extend` somebody has asked for it; a passive request extends nothing.
    Without our middleware (only it sets `environ`) no cookie would follow, and nothing is done.
    """
    if store.sid is None or store.environ is None:
        return
    if not store.expires_at:
        store.revalidate()  # hybrid: the cookie's copy does not say when the row ends
    now, passive = time.time(), is_passive(request)
    wants = not passive and ("extend" in request.GET or store.refresh_due(now))
    if not (wants and store.refresh()) and store.sid is not None and store.reissue_due(now):
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


# --- one's own sessions --------------------------------------------------------------------------


class _CSRF(CsrfViewMiddleware):
    """Refuses as these views do: a front end reads JSON, not the page of CSRF_FAILURE_VIEW."""

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        return _refused(403, "csrf_failed", reason=reason)


_protected: Any = decorator_from_middleware(_CSRF)
_DECORATORS = [csrf_exempt, login_not_required, never_cache, vary_on_cookie, _protected]


@method_decorator(_DECORATORS, name="dispatch")
class SessionsJSON(SameSiteMixin, View):
    """The sessions of the user as JSON: GET lists them, DELETE ends one, or all others.

    What is refused has a `code`: login_required (401), csrf_failed, proof_required and wrong_proof
    (403), too_many_tries (429), not_found (404), bad_json (400). With proof_required stands the
    `url` of the page that asks, to which a front end sends its user. The list brings the cookie
    with the CSRF token.
    """

    http_method_names = ("get", "head", "delete", "options")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not request.user.is_authenticated:
            return _refused(401, "login_required", url=resolve_url(settings.LOGIN_URL))
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest, sid: str = "") -> JsonResponse:
        get_token(request)
        found = listing.sessions_of(request)
        if not sid:
            return JsonResponse({"sessions": [_as_json(one) for one in found]})
        chosen = next((one for one in found if one.sid == sid), None)
        return _refused(404, "not_found") if chosen is None else JsonResponse(_as_json(chosen))

    def delete(self, request: HttpRequest, sid: str = "") -> HttpResponse:
        return self.end_one(request, sid) if sid else self.end_others(request)

    def end_one(self, request: HttpRequest, sid: str) -> HttpResponse:
        """End a session; this one without a proof. 204 also where it has ended already."""
        if sid == getattr(request.session, "sid", None):
            logout(request)
            return HttpResponse(status=204)
        if not is_fresh(request, MAX_AGE):
            back = return_url(request) if request.headers.get("Referer") else _pages()
            url = confirm_url(request, Wanted(), back)
            return _refused(403, "proof_required", max_age=MAX_AGE, url=url)
        if listing.end_session(request, sid) is None and not listing.was_of_user(request, sid):
            return _refused(404, "not_found")
        return HttpResponse(status=204)

    def end_others(self, request: HttpRequest) -> HttpResponse:
        """End all sessions but this one, with the proof in the body: {"password": ".."}."""
        try:
            given = json.loads(request.body or b"{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            return _refused(400, "bad_json")
        with_form = [one for one in confirmers.available(request) if one.form_class is not None]
        named = [one for one in with_form if one.name == given.get("by")]
        confirmer = next(iter(named or with_form), None)
        if confirmer is None or confirmer.form_class is None or not given:
            return _refused(403, "proof_required", url=reverse("jwtsession:end_others"))
        if seconds := throttle.wait(request):
            response = _refused(429, "too_many_tries", retry_after=seconds)
            response.headers["Retry-After"] = str(seconds)
            return response
        form = confirmer.form_class(given, request=request)
        if not form.is_valid():
            return _refused(403, "wrong_proof", errors=form.errors)
        throttle.forget(request)
        confirm(request, amr=confirmer.methods)
        user = request.user
        revoke_user_sessions(user, keep=request.session, by=user, reason=EndReason.USER)
        return HttpResponse(status=204)


def _refused(status: int, code: str, **more: Any) -> JsonResponse:
    return JsonResponse({"code": code, **more}, status=status)


def _pages() -> str:
    return reverse("jwtsession:sessions")


def _as_json(one: listing.Listed) -> dict[str, Any]:
    return {
        "sid": one.sid,
        "is_own": one.is_own,
        "is_bound": one.is_bound,
        "name": one.name,
        "device": one.words,
        "kind": one.kind,
        "ip_address": one.ip_address,
        "location": one.place,
        "signed_in_at": one.signed_in_at,
        "last_seen_at": one.last_seen_at,
        "expires_at": one.expires_at,
    }
