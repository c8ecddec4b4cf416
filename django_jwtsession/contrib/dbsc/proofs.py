"""The proof: a cookie of ten minutes for whoever has signed; and what a session asks of it."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ...backends.opening import Opening
from ...conf import in_test_environment
from ...exceptions import BadToken
from ...models.place import current_place
from ...models.times import to_datetime
from ...tokens.claims import Claims
from ...tokens.sid import sid_from_uuid, uuid_from_sid
from .conf import setting
from .models import Binding

NAME, TYP, REFRESH = "__Host-dbsc", "dbp+jwt", "/dbsc/refresh"
# What the browser is told of the cookie beforehand: with others it signs at each request.
TOLD = "Path=/; Secure; HttpOnly; SameSite=Lax"
_ATTRIBUTES: Any = {"secure": True, "httponly": True, "samesite": "Lax"}
# Seconds for which tokens from before the binding open a session: they may be on their way.
_ON_ITS_WAY = 10


class Age(float):
    """Seconds since a proof; true also where they are none."""

    def __bool__(self) -> bool:
        return True


def give(response: HttpResponseBase, session: Any, jkt: str) -> None:
    """Set the cookie of a proof made now."""
    now, age = round(time.time(), 3), setting("MAX_AGE")
    claims = Claims(session.sid, now, now + age, session.epoch, jkt=jkt)
    codec = session.config.codec_in(current_place(), typ=TYP)
    response.set_cookie(NAME, codec.issue(claims, now), int(age), **_ATTRIBUTES)


def take_away(request: HttpRequest, response: HttpResponseBase) -> None:
    """Delete the cookie; browsers want its attributes for that as well."""
    if NAME in request.COOKIES:
        response.set_cookie(NAME, "", 0, **_ATTRIBUTES)


def _proof(session: Opening) -> Claims | None:
    """Return the proof that came with a session's request, if it is good now.

    Parsing all cookies once more would take a tenth of what a read takes.
    """
    cookies = "; " + (session.environ or {}).get("HTTP_COOKIE", "")
    token, now = cookies.partition(f"; {NAME}=")[2].partition(";")[0], time.time()
    if not token:
        return None
    try:
        proof = session.config.codec_in(session._feed.place, typ=TYP).read(token, now)
    except BadToken:
        return None
    return proof if now - proof.iat <= setting("MAX_AGE") else None


class DeviceBindings:
    """What the core asks: see backends/binding.py."""

    def key_of(self, sid: str, user: str | None, jkt: str | None) -> str | None:
        if setting("MODE") != "strict" or user is None:
            return None
        if jkt is None and (binding := Binding.of(sid)) is not None:
            is_settled = binding.bound_at <= to_datetime(time.time() - _ON_ITS_WAY)
            return binding.thumbprint if is_settled else None
        return jkt

    def opens(self, session: Opening, sid: str, jkt: str) -> bool:
        if setting("MODE") != "strict":
            return True
        if session.environ is None:  # a socket, which has no proof; or a test's `client.session`
            return in_test_environment()
        if session.environ.get("PATH_INFO") == REFRESH:  # whose view asks for a signature
            return True
        proof = _proof(session)
        return proof is not None and (proof.sid, proof.jkt) == (sid, jkt)

    def age(self, session: Any) -> float | None:
        sid, proof = session.sid, _proof(session)
        if proof is None or proof.sid != sid:
            return None
        return Age(max(0.0, time.time() - proof.iat))

    def bound(self, sids: Collection[str]) -> Collection[str]:
        found = Binding.objects.filter(pk__in=[uuid_from_sid(sid) for sid in sids if sid])
        return {sid_from_uuid(pk) for pk in found.values_list("pk", flat=True)}
