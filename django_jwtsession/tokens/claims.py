"""The claims of a session token and their one validator (RFC 7519 section 4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ..exceptions import BadToken, Reason

# A time beyond the year 9999 has no datetime; a negative one no session.
_LAST_TIME = 253402300799
# What every database's BIGINT holds.
_LAST_NUMBER = 2**63 - 1

is_backend_digest = re.compile(r"[A-Za-z0-9_-]{6}").fullmatch
_is_base64url = re.compile(r"[A-Za-z0-9_-]+").fullmatch


class Claims(NamedTuple):
    """What a token says. Times are NumericDate: seconds since 1970, UTC (RFC 7519 section 2).

    A NamedTuple, not a frozen dataclass: one is made for each request, at a third of the price.
    The fields stand in the order of DESIGN's table; see docs/token-profile.md for their meaning.
    """

    sid: str
    iat: int | float
    exp: int | float
    ep: int
    nbf: int | float | None = None
    iss: str | None = None
    aud: str | list[str] | None = None
    sub: str | None = None
    auth_time: int | float | None = None
    pt: int | float | None = None
    be: str | None = None
    ah: str | None = None
    sk: str | None = None
    mx: int | float | None = None
    rv: int | float | None = None
    gen: int | None = None
    ver: int | None = None
    d: dict[str, Any] | str | bytes | None = None  # bytes in a process only: see Codec.keep()
    big: int | None = None
    jkt: str | None = None

    def __repr__(self) -> str:
        """Show no data, user or key: tracebacks go to error trackers."""
        return f"<Claims of session {self.sid}, epoch {self.ep}>"

    def with_data(self, d: dict[str, Any] | str | bytes) -> Claims:
        """Return the claims with other data, at a fifth of what `_replace` takes."""
        fields: list[Any] = [*self]
        fields[_D] = d
        return Claims(*fields)

    @property
    def holds_all(self) -> bool:
        """Whether a token of the engine `cookie` has these claims: it is the whole session."""
        return self.ver is None and (self.d is not None or self.sub is not None)


_D = Claims._fields.index("d")


def _is_time(value: Any) -> bool:
    return (type(value) is int or type(value) is float) and 0 <= value <= _LAST_TIME


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LAST_NUMBER


def _is_audience(value: Any) -> bool:
    return type(value) is str or (type(value) is list and all(type(v) is str for v in value))


def is_text(value: Any) -> bool:
    """Tell whether `value` can be a `sub`."""
    if type(value) is not str or not value or "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate; no database takes it, nor NUL
        return False
    return True


def validate(
    payload: dict[str, Any],
    now: float,
    leeway: float = 15,
    issuer: str | None = None,
    audience: str | None = None,
) -> Claims:
    """Return the claims of an authenticated payload; others than ours are ignored.

    Arguments: `now` and `leeway` in seconds; `issuer` and `audience` are required of the token
    where they are given.

    Raises BadToken: ``claims`` for a claim that is missing or of another form, ``issuer`` and
    ``audience`` (also for one where none is expected, as RFC 7519 4.1.3 demands of `aud`),
    ``not_yet_valid`` for an `nbf` or an `iat` in the future (4.1.5, 4.1.6), ``expired`` (4.1.4).

    Written out: with a table of forms, reading a token takes a fifth longer (benchmarks/README.md).
    """
    get: Callable[[str], Any] = payload.get
    sid, iat, exp, ep = get("sid"), get("iat"), get("exp"), get("ep")
    nbf, iss, aud = get("nbf"), get("iss"), get("aud")
    sub, auth_time, pt, be, ah = get("sub"), get("auth_time"), get("pt"), get("be"), get("ah")
    sk, mx = get("sk"), get("mx")
    rv, gen, ver, d, big = get("rv"), get("gen"), get("ver"), get("d"), get("big")
    jkt = get("jkt")
    if not (
        (type(sid) is str and len(sid) == 22 and sid[-1] in "AQgw")
        # By exact type: in Python a bool is an int.
        and (type(iat) is int or type(iat) is float)
        and (type(exp) is int or type(exp) is float)
        and 0 <= iat <= _LAST_TIME
        and 0 <= exp <= _LAST_TIME
        and _is_number(ep)
        and (nbf is None or _is_time(nbf))
        and (iss is None or type(iss) is str)
        and (aud is None or _is_audience(aud))
        and (sub is None or is_text(sub))
        and (auth_time is None or _is_time(auth_time))
        and (sub is None) is (auth_time is None)
        and (pt is None or (_is_time(pt) and auth_time is not None))
        and (sk is None or (type(sk) is str and len(sk) == 18))
        and (mx is None or _is_time(mx))
        and (be is None or (type(be) is str and len(be) == 6))
        and (ah is None or (type(ah) is str and len(ah) > 0))
        and (jkt is None or (type(jkt) is str and len(jkt) == 43))
        # One look at the characters of all five.
        and _is_base64url(f"{sid}{be or ''}{ah or ''}{sk or ''}{jkt or ''}")
        and (rv is None or _is_time(rv))
        and (gen is None or _is_number(gen))
        and (ver is None or _is_number(ver))
        and (d is None or type(d) is dict or type(d) is str)
        and (big is None or (type(big) is int and big == 1))
        # A claim that is null is not one that is missing.
        and (None not in payload.values() or not _has_null(payload))
    ):
        raise BadToken(Reason.CLAIMS)
    if iss != issuer:
        raise BadToken(Reason.ISSUER)
    if aud != audience and not (type(aud) is list and audience in aud):
        raise BadToken(Reason.AUDIENCE)
    if iat > now + leeway or (nbf is not None and nbf > now + leeway):
        raise BadToken(Reason.NOT_YET_VALID)
    if exp <= now - leeway or exp <= iat:
        raise BadToken(Reason.EXPIRED)
    return Claims(
        sid,
        iat,
        exp,
        ep,
        nbf,
        iss,
        aud,
        sub,
        auth_time,
        pt,
        be,
        ah,
        sk,
        mx,
        rv,
        gen,
        ver,
        d,
        big,
        jkt,
    )


def _has_null(payload: dict[str, Any]) -> bool:
    return any(name in payload and payload[name] is None for name in Claims._fields)


def payload(claims: Claims) -> dict[str, Any]:
    """Return the claims that are set, ready for JSON."""
    return {k: v for k, v in zip(Claims._fields, claims, strict=True) if v is not None}
