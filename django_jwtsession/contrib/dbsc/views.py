"""The protocol: the offer at a login, the registration of a key, and each proof of it.

What browsers make of an answer: 403 with a challenge is signed, 500 and 503 are tried again, any
other refusal ends the binding.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from ...backends.knowledge import Ended, Read
from ...exceptions import BadToken, Reason
from ...history.events import note_bound
from ...models.times import to_datetime
from ...pages.login import is_same_origin
from ...pages.throttle import is_too_often
from ...revocation.ending import report_reuse
from ...tokens.presented import Presented, thumbprint
from ...tokens.sid import uuid_from_sid
from . import challenges, proofs
from .conf import setting
from .models import Binding

START, _SIGNED, _TYP = "/dbsc/start", "Secure-Session-Response", "dbsc+jwt"
# Seconds for which an offer is good, and a challenge, which is answered when the proof has ended.
_OFFER_AGE, _CHALLENGE_AGE = 300, 1200
# Requests of one session in a minute; a browser makes a dozen in nine.
_MOST = 60


def _protocol(view: Callable[[HttpRequest, Any], HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a view answer only what a browser asks by itself, and never with a page or a redirect.

    The view gets the session, None for nobody's.
    """

    @csrf_exempt
    @login_not_required
    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or not is_same_origin(request):
            return JsonResponse(
                {"error": "not_for_you"}, status=403 if request.method == "POST" else 405
            )
        request.META["HTTP_X_SESSION_PASSIVE"] = "1"  # nobody has used the session
        session: Any = request.session
        try:
            is_own = getattr(session, "has_rows", False) and session.get(SESSION_KEY)
            own = session if is_own else None
            if _must_wait(session, own):
                return _later()
            return view(request, own)
        except BadToken:
            return JsonResponse({"error": "bad_response"}, status=400)
        except (DatabaseError, InterfaceError):
            return JsonResponse({"error": "later"}, status=503)

    return guarded


def _quietly(response: Any) -> HttpResponse:
    """Return an answer that is no fault of anybody's, and that Django is not to log as one."""
    response._has_been_logged = True
    return cast(HttpResponse, response)


def _later() -> HttpResponse:
    return _quietly(JsonResponse({"error": "later"}, status=503))


def _must_wait(session: Any, own: Any) -> bool:
    """Tell whether to try again: the newer cookie is on its way, an outage, too many requests."""
    if own is None:
        return getattr(session, "ended", None) is Ended.JUST_PASSED
    return not isinstance(own.known, Read) or is_too_often(f"dbsc.{own.sid}", _MOST, 60)


def offer(request: HttpRequest, response: Any) -> None:
    """Ask the browser that has just logged in to make a key, unless it has just proved to have one.

    A key without a proof may be lost; it counts no more.
    """
    session: Any = request.session
    if session.sid is None or session.logged_in_at is None or response.status_code >= 400:
        return
    if (binding := Binding.of(session.sid)) is not None:
        if session.device_bound is not None:
            return
        binding.delete()
    session.jkt = None
    first, second = (challenges.make(each, *_login(session)) for each in ("jti", "authorization"))
    response.headers["Secure-Session-Registration"] = (
        f'(ES256);path="{request.META.get("SCRIPT_NAME", "")}{START}";challenge="{first}"'
        f';authorization="{second}"'
    )


def _login(session: Any) -> tuple[str, str]:
    """Return the session and its login: the offer of one is no good after the next."""
    return session.sid, f"{session.logged_in_at:.3f}"


@_protocol
def start(request: HttpRequest, session: Any) -> HttpResponse:
    """Bind the session to the key that the browser has made for the offer of its login."""
    if session is None:
        return JsonResponse({"error": "no_session"}, status=401)
    signed = Presented(request.headers.get(_SIGNED, ""), _TYP, with_key=True)
    signed.verify(signed.jwk)
    _check_audience(request, signed)
    for name in ("jti", "authorization"):
        if not challenges.made_at(signed.payload.get(name), _OFFER_AGE, name, *_login(session)):
            return JsonResponse({"error": "bad_challenge"}, status=403)
    if not _bind(session, signed.jwk):
        return JsonResponse({"error": "bound_already"}, status=403)
    jkt = thumbprint(signed.jwk)
    if setting("MODE") == "strict":
        session.jkt, session.cookie_due = jkt, True
    note_bound(session.sid, session.known.row.user_id, request.META)
    return _proved(request, session, jkt)


def _bind(session: Any, jwk: dict[str, Any]) -> bool:
    """Store the key; False where the session has one."""
    now = to_datetime(time.time())
    Binding.clear(now)
    _, is_new = Binding.objects.get_or_create(
        pk=uuid_from_sid(session.sid),
        defaults={
            "jwk": jwk,
            "thumbprint": thumbprint(jwk),
            "algorithm": "ES256",
            "bound_at": now,
            "last_proof_at": now,
        },
    )
    return bool(is_new)


def _check_audience(request: HttpRequest, signed: Presented) -> None:
    """Raise BadToken for what was signed for another site; most browsers do not say."""
    origins = (f"{scheme}://{request.get_host()}" for scheme in ("https", request.scheme))
    own = [f"{origin}{path}" for origin in origins for path in ("", "/", request.path)]
    if signed.payload.get("aud", own[0]) not in own:
        raise BadToken(Reason.AUDIENCE)


@_protocol
def refresh(request: HttpRequest, session: Any) -> HttpResponse:
    """Give a proof to whoever signs with the session's key."""
    sid = request.headers.get("Sec-Secure-Session-Id", "").strip().strip('"')
    if session is not None and session.sid != sid:
        return JsonResponse({"error": "another_session"}, status=403)
    binding = None if session is None else Binding.of(sid)
    if binding is None:
        return _ended(sid)
    if _SIGNED not in request.headers:
        return _challenged(session, binding.answered)
    signed = Presented(request.headers[_SIGNED], _TYP, with_key=False)
    at = challenges.made_at(signed.payload.get("jti"), _CHALLENGE_AGE, "refresh", sid)
    try:
        signed.verify(binding.jwk)
    except BadToken:
        if at is not None and at < binding.bound_at.timestamp() * 1000:
            return _later()  # by the key before; a challenge would be signed with that again
        report_reuse(type(session), session.model, binding.pk, request.META, "binding_failed")
        binding.delete()
        session.flush()
        return _ended(sid)
    _check_audience(request, signed)
    if at is None or not binding.answer(at):
        return _challenged(session, binding.answered)
    return _proved(request, session, binding.thumbprint, after=at)


def _ended(sid: str) -> HttpResponse:
    return JsonResponse({"session_identifier": sid, "continue": False}, status=410)


def _challenged(session: Any, after: int) -> HttpResponse:
    response = _quietly(JsonResponse({"error": "sign_the_challenge"}, status=403))
    return _with_challenge(response, session.sid, after)


def _with_challenge(response: HttpResponse, sid: str, after: int) -> HttpResponse:
    challenge = challenges.make("refresh", sid, after=after)
    response.headers["Secure-Session-Challenge"] = f'"{challenge}";id="{sid}"'
    return response


def _proved(request: HttpRequest, session: Any, jkt: str, after: int = 0) -> HttpResponse:
    """Return what the browser is to do, with the proof and the challenge for the next one."""
    urls = [urlsplit(url or "") for url in (settings.STATIC_URL, settings.MEDIA_URL)]
    paths = sorted({url.path for url in urls if not url.netloc} - {"", "/"})
    excluded = [{"type": "exclude", "domain": "*", "path": path} for path in paths]
    origin = f"{request.scheme}://{request.get_host()}"
    told = {
        "session_identifier": session.sid,
        "refresh_url": f"{request.META.get('SCRIPT_NAME', '')}{proofs.REFRESH}",
        "scope": {"origin": origin, "include_site": False, "scope_specification": excluded},
        "credentials": [{"type": "cookie", "name": proofs.NAME, "attributes": proofs.TOLD}],
    }
    response = _with_challenge(JsonResponse(told), session.sid, after)
    proofs.give(response, session, jkt)
    return response
