"""The proof: a cookie of ten minutes for whoever has signed; and what a session asks of it."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from typing import Any

from django.core.signals import setting_changed
from django.http import parse_cookie
from django.http.response import HttpResponseBase

from ...backends.opening import Opening
from ...conf import get_config, in_test_environment
from ...exceptions import BadToken
from ...models.place import current_place
from ...models.times import to_datetime
from ...tokens.claims import Claims
from ...tokens.sid import sid_from_uuid, uuid_from_sid
from .conf import setting
from .cookie import cookie_name, put, sign_again
from .models import Binding

TYP, REFRESH = "dbp+jwt", "/dbsc/refresh"


class Proofs:
    """The proofs of a place (models/place.py)."""

    def __init__(self, place: str) -> None:
        self._max_age: float = setting("MAX_AGE")
        self._name = cookie_name()
        # From the future, for this server, is what one makes whose clock is ahead.
        self.codec = replace(get_config(), leeway=self._max_age).codec_in(place, typ=TYP)

    def find(self, session: Opening, sid: str) -> Claims | None:
        """Return the proof that came with the request of a session, if it is good now."""
        cookies, now = session.cookies, time.time()
        if cookies is None:  # it is read before the middleware has given it to the request
            cookies = parse_cookie((session.environ or {}).get("HTTP_COOKIE", ""))
        try:
            proof = self.codec.recall(cookies.get(self._name, ""), now)
        except BadToken:
            return None
        return proof if proof.sid == sid and now - proof.iat <= self._max_age else None


proofs_in = cache(Proofs)
setting_changed.connect(lambda **_: proofs_in.cache_clear(), weak=False)


def give(response: HttpResponseBase, session: Any, jkt: str) -> None:
    """Set the cookie of a proof made now."""
    now, age = round(time.time(), 3), setting("MAX_AGE")
    claims = Claims(session.sid, now, now + age, session.epoch, jkt=jkt)
    put(response, proofs_in(current_place()).codec.issue(claims, now), int(age))


class DeviceBindings:
    """What the core asks: see backends/binding.py."""

    def key_of(self, sid: str, user: str | None, jkt: str | None) -> str | None:
        if setting("MODE") != "strict" or user is None:
            return None
        if jkt is None and (binding := Binding.of(sid)) is not None:
            # For 10 s tokens from before the binding open the session: they may be on their way.
            is_settled = binding.bound_at <= to_datetime(time.time() - 10)
            return binding.thumbprint if is_settled else None
        return jkt

    def opens(self, session: Opening, sid: str, jkt: str) -> bool:
        proof = proofs_in(session._feed.place).find(session, sid)
        if (proof is not None and proof.jkt == jkt) or setting("MODE") != "strict":
            return True
        if (environ := session.environ) is None:  # as of a test's `client.session`
            return session.cookies is None and in_test_environment()
        session.finish = sign_again  # type: ignore[attr-defined]
        return environ.get("PATH_INFO") == REFRESH  # whose view asks for a signature

    def age(self, session: Any) -> float | None:
        proof = proofs_in(session._feed.place).find(session, session.sid or "")
        return None if proof is None else max(time.time() - proof.iat, 1e-3)

    def bound(self, sids: Collection[str]) -> Collection[str]:
        found = Binding.objects.filter(pk__in=[uuid_from_sid(sid) for sid in sids if sid])
        return {sid_from_uuid(pk) for pk in found.values_list("pk", flat=True)}
