"""The protocol: the offer at a login, the registration of a key, and each proof of it.

What browsers make of an answer: 403 with a challenge is signed, 500 and 503 are tried again, any
other refusal ends the binding. No view of the site's stands before these (hooks.py), so there is
no CSRF token to check and no login to be sent to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache

from ...backends.answer import tell_of_failure
from ...backends.knowledge import Ended, Read
from ...exceptions import BadToken, Reason
from ...history.events import note_bound
from ...pages.login import is_same_origin
from ...pages.throttle import is_too_often
from ...revocation.ending import report_reuse
from ...tokens.presented import Presented, thumbprint
from .. import challenges
from . import proofs
from .conf import setting
from .cookie import TOLD, cookie_name
from .models import Binding

START, _SIGNED, _OFFERED = "/dbsc/start", "Secure-Session-Response", ("jti", "authorization")
# Seconds for which an offer is good, and a challenge, which is answered when the proof has ended;
# and requests of one session in a minute: a browser makes a dozen in nine.
_OFFER_AGE, _CHALLENGE_AGE, _MOST = 300, 1200, 60


def _protocol(view: Callable[[HttpRequest, Any], HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a view answer only what a browser asks by itself, and never with a page or a redirect.

    The view gets the session, None for nobody's.
    """

    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or not is_same_origin(request):
            return _answer(403 if request.method == "POST" else 405, error="not_for_you")
        request.META["HTTP_X_SESSION_PASSIVE"] = "1"  # nobody has used the session
        session: Any = request.session
        try:
            is_own = getattr(session, "has_rows", False) and session.get(SESSION_KEY)
            if (_must_wait if is_own else _may_open_later)(session, request):
                return _answer(503, error="later")
            return view(request, session if is_own else None)
        except BadToken:
            return _answer(400, error="bad_response")
        except (DatabaseError, InterfaceError) as error:
            tell_of_failure(error, is_optional=False)
            return _answer(503, error="later")

    return guarded


def _answer(status: int, **told: Any) -> HttpResponse:
    """Return an answer of JSON that Django is not to log: browsers have asked, and nobody else."""
    response: Any = JsonResponse(told, status=status)
    response._has_been_logged = True
    return response  # type: ignore[no-any-return]


def _must_wait(session: Any, request: HttpRequest) -> bool:
    """Tell whether to try again: an outage, too many requests."""
    return not isinstance(session.known, Read) or is_too_often(f"dbsc.{session.sid}", _MOST, 60)


def _may_open_later(session: Any, request: HttpRequest) -> bool:
    """Tell whether a cookie is too young for the clock here, or a newer one is on its way."""
    ended = getattr(session, "ended", None)
    try:
        if ended is Ended.REFUSED:
            session._codec.read(request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""), time.time())
    except BadToken as error:
        return error.reason is Reason.NOT_YET_VALID
    return ended is Ended.JUST_PASSED


def offer(request: HttpRequest, response: Any) -> None:
    """Ask the browser that has just logged in to make a key, unless it has just proved to have one.

    A key without a proof may be lost; it counts no more.
    """
    session: Any = request.session
    is_login = session.logged_in_at is not None and response.status_code < 400
    if not is_login or (session.device_bound and Binding.of(session.sid)):
        return
    Binding.drop(session.sid)
    session.jkt = None
    path = request.META.get("SCRIPT_NAME", "") + START
    # Where another site has led to the login, browsers send it no cookies.
    name = session.sid if request.headers.get("Sec-Fetch-Site") == "cross-site" else ""
    first, second = (challenges.make(each, *_login(session), key=name) for each in _OFFERED)
    told = f'(ES256);path="{path}";challenge="{first}";authorization="{second}"'
    response.headers["Secure-Session-Registration"] = told


def _login(session: Any) -> tuple[str, str]:
    """Return the session and its login: the offer of one is no good after the next."""
    return session.sid, f"{session.logged_in_at:.3f}"


@_protocol
def start(request: HttpRequest, session: Any) -> HttpResponse:
    """Bind the session to the key that the browser has made for the offer of its login."""
    if (session := session or _named_in_offer(request)) is None:
        return _answer(401, error="no_session")
    signed = _presented(request, with_key=True)
    signed.verify(signed.jwk)
    for name in _OFFERED:
        if not challenges.made_at(signed.payload.get(name), _OFFER_AGE, name, *_login(session)):
            return _answer(403, error="bad_challenge")
    binding = Binding.bind(session.sid, signed.jwk, thumbprint(signed.jwk))
    if binding is None:
        return _answer(403, error="bound_already")
    if setting("MODE") == "strict":
        session.jkt, session.cookie_due = binding.thumbprint, True
    note_bound(session.sid, session.known.row.user_id, request.META)
    return _proved(request, session, binding)


def _named_in_offer(request: HttpRequest) -> Any:
    """Return the session that the offer of its login names, None for none. Raises BadToken."""
    has_cookie, nobody = settings.SESSION_COOKIE_NAME in request.COOKIES, request.session
    if has_cookie or _SIGNED not in request.headers or not getattr(nobody, "has_rows", False):
        return None
    given = _presented(request, with_key=True).payload.get("authorization")
    found = type(nobody).of(challenges.key_in(given))  # type: ignore[attr-defined]
    return found if found.get(SESSION_KEY) else None


def _presented(request: HttpRequest, with_key: bool) -> Presented:
    """Return what the browser has signed. Raises BadToken.

    The site is where the request comes from: see _protocol().
    """
    own = [request.headers["Origin"] + path for path in ("", "/", request.path)]
    return Presented(request.headers.get(_SIGNED, ""), "dbsc+jwt", with_key, audience=own)


@_protocol
def refresh(request: HttpRequest, session: Any) -> HttpResponse:
    """Give a proof to whoever signs with the session's key."""
    sid = request.headers.get("Sec-Secure-Session-Id", "").strip().strip('"')
    if session is not None and session.sid != sid:
        return _answer(403, error="another_session")
    binding = None if session is None else Binding.of(sid)
    if binding is None:
        return _ended(sid)
    if _SIGNED not in request.headers:
        return _challenged(binding, sid)
    signed = _presented(request, with_key=False)
    jti = signed.payload.get("jti")
    at = challenges.made_at(jti, _CHALLENGE_AGE, "refresh", sid)
    try:
        signed.verify(binding.jwk)
    except BadToken:
        if at is not None and binding.thumbprint not in str(jti):
            # By the key before; a challenge would be signed with that again.
            return _answer(503, error="later")
        report_reuse(type(session), session.model, binding.pk, request.META, "binding_failed")
        Binding.drop(sid)
        session.flush()
        return _ended(sid)
    if at is None or not binding.answer(at):
        return _challenged(binding, sid)
    binding.answered = at
    return _proved(request, session, binding)


def _ended(sid: str) -> HttpResponse:
    return _answer(410, session_identifier=sid, **{"continue": False})


def _challenged(binding: Binding, sid: str) -> HttpResponse:
    return _with_challenge(_answer(403, error="sign_the_challenge"), binding, sid)


def _with_challenge(response: HttpResponse, binding: Binding, sid: str) -> HttpResponse:
    challenge = challenges.make("refresh", sid, after=binding.answered, key=binding.thumbprint)
    response.headers["Secure-Session-Challenge"] = f'"{challenge}";id="{sid}"'
    return response


def _proved(request: HttpRequest, session: Any, binding: Binding) -> HttpResponse:
    """Return what the browser is to do, with the proof and the challenge for the next one."""
    sid, url = session.sid, request.META.get("SCRIPT_NAME", "") + proofs.REFRESH
    origin, static = request.headers["Origin"], urlsplit(settings.STATIC_URL or "")
    is_here = static.path.strip("/") and not static.netloc
    excluded = [{"type": "exclude", "domain": "*", "path": static.path}] if is_here else []
    scope = {"origin": origin, "include_site": False, "scope_specification": excluded}
    cookies = [{"type": "cookie", "name": cookie_name(), "attributes": TOLD}]
    told = {"session_identifier": sid, "refresh_url": url, "scope": scope, "credentials": cookies}
    response = _answer(200, **told)
    proofs.give(response, session, binding.thumbprint)
    return _with_challenge(response, binding, sid)
