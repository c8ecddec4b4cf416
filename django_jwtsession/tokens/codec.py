"""Token text to claims and back: the only door between a cookie and the rest of the package."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..exceptions import BadKey, BadToken, Reason
from . import base64url, strict_json
from .bounded import Recent
from .claims import Claims, payload, validate
from .keys import ED25519, WEEK, Key, KeyRing

MAX_LENGTH = 8192
_KEPT_HEADERS = 256
_KEPT_TOKENS = 512
# Of one token's data: what is more than a cookie can hold was compressed.
_MAX_DATA = 8192
_JWS_HEADER = {"alg", "typ", "kid"}
_JWE_HEADER = {"alg", "enc", "zip", "typ", "kid"}


class _Kept(NamedTuple):
    """The claims of an authentic token, and from when until when they are valid (Unix time)."""

    since: float
    until: float
    claims: Claims


class Codec:
    """Reads and issues tokens under the site's own rules.

    Arguments: `keys`; `algorithms`, of which the first issues and all are read (and both names of
    Ed25519 where it has one of them); `leeway` (seconds), `issuer` and `audience` as in
    claims.validate; `place`, where the site has several, is in each token: the derived keys differ
    from place to place, PEM keys do not.

    Raises BadKey where no key can issue tokens of the first algorithm.
    """

    def __init__(
        self,
        keys: KeyRing,
        algorithms: Sequence[str] = ("A256GCM",),
        *,
        leeway: float = 15,
        issuer: str | None = None,
        audience: str | None = None,
        place: str = "",
    ) -> None:
        self.keys = keys
        both = () if set(algorithms).isdisjoint(ED25519) else ED25519
        self._algorithms = frozenset((*algorithms, *both))
        self._issues = algorithms[0]
        self._leeway = leeway
        self._issuer = issuer
        self._audience = audience
        self._place = place
        stamp = (("iss", issuer), ("aud", audience), ("place", place or None))
        self._stamp = {name: value for name, value in stamp if value is not None}
        # Headers of tokens that proved authentic: later tokens with the same need no parsing.
        self._headers: dict[bytes, tuple[Key, bool]] = {}
        # Tokens of a moment ago: a page's requests all bring the same one. A dictionary compares
        # them only where their hashes agree, 64 bits under a key of the process (SipHash): how
        # long a look takes tells nothing of the tokens in it.
        self._recent: Recent[_Kept] = Recent(_KEPT_TOKENS)
        # The last one that was not among them, and its claims.
        self._last: tuple[str, Claims | None] = "", None
        # The week, and the key that issues in it.
        self._issuing: tuple[float, Key] | None = None
        if not keys.can_issue(self._issues):
            raise BadKey(f"none of the keys can issue {self._issues} tokens")

    def read(self, token: str, now: float) -> Claims:
        """Return the claims of `token`; `now` is Unix time.

        Raises BadToken with the reason. Does work in proportion to the token's length, and none on
        a token over 8 KiB.
        """
        opened = self.open(token, now)
        if opened.get("place", "") != self._place:
            raise BadToken(Reason.AUDIENCE)
        return validate(opened, now, self._leeway, self._issuer, self._audience)

    def recall(self, token: str, now: float) -> Claims:
        """Return the claims of `token` as read() does, at little work if it came a moment ago.

        Then ``d`` may be bytes: the session that keep() was given.
        """
        kept = self._recent.get(token) or self._recent.older(token)
        if kept is not None and kept.since <= now < kept.until:
            return kept.claims
        claims = self.read(token, now)
        self._last = token, claims
        if type(claims.d) is not dict:  # which is its reader's to change
            self._keep(token, claims)
        return claims

    def open(self, token: str, now: float) -> dict[str, Any]:
        """Return the authenticated payload of `token`, its claims not yet judged.

        Raises BadToken with the reason.
        """
        if len(token) > MAX_LENGTH:
            raise BadToken(Reason.TOO_LONG)
        try:
            parts = token.encode("ascii").split(b".", 5)
        except UnicodeEncodeError:
            raise BadToken(Reason.MALFORMED) from None
        segment = parts[0]
        known = self._headers.get(segment)
        key, compressed = known or self._judge(segment, now)
        data = key.open(parts, compressed)
        if known is None:
            if len(self._headers) >= _KEPT_HEADERS:
                self._headers.clear()
            self._headers[segment] = key, compressed
        return strict_json.loads(data)

    def issue(self, claims: Claims, now: float) -> str:
        """Return a token with `claims` and the site's ``iss`` and ``aud``.

        Raises ValueError or TypeError for claims that are no strict JSON (strict_json.dumps).
        """
        members = payload(claims)
        members.update(self._stamp)
        data = strict_json.dumps(members)
        return self.issuing_key(now).seal(data).decode("ascii")

    def keep_read(self, claims: Claims, session: dict[str, Any]) -> None:
        """Keep what the `claims` that recall() has just returned came to: see keep().

        Nothing happens if another token was read since: which one it was is not known any more.
        """
        token, last = self._last
        if last is claims:
            self._keep(token, claims, session)

    def keep(self, token: str, claims: Claims, session: dict[str, Any]) -> None:
        """Spare recall() the work on a `token` that was just issued with `claims`.

        Whoever recalls it finds in ``d`` the data of the `session` as bytes of marshal, of which
        each makes dictionaries of their own, in a third of the time that JSON takes. Only for
        claims that validate() would return, and for what JSON gives back as it is: another process
        reads the token itself, and must not see anything else.
        """
        if self._stamp:
            claims = claims._replace(iss=self._issuer, aud=self._audience)
        self._keep(token, claims, session)

    def _keep(self, token: str, claims: Claims, session: dict[str, Any] | None = None) -> None:
        if session:
            # In version 2: a later one tells where two values are one object, and tokens do not.
            claims = claims.with_data(marshal.dumps(dict(session), 2))
        if claims.d is not None and len(claims.d) > _MAX_DATA:
            return
        if claims.exp <= claims.iat:  # it had ended when it was issued: see validate()
            return
        since = max(claims.iat, claims.nbf or 0) - self._leeway
        self._recent.keep(token, _Kept(since, claims.exp + self._leeway, claims))

    def is_current(self, token: str, now: float) -> bool:
        """Tell whether `token`, one that was read, is issued under today's key and algorithm."""
        return token.startswith(self.issuing_key(now).prefix)

    def issuing_key(self, now: float) -> Key:
        """Return the key that issues now."""
        week, known = now // WEEK, self._issuing
        if known is not None and known[0] == week:
            return known[1]
        key = self.keys.newest(self._issues, now)
        assert key is not None  # __init__ made sure
        self._issuing = week, key
        return key

    def _judge(self, segment: bytes, now: float) -> tuple[Key, bool]:
        """Return the key that a header names and whether the payload is compressed.

        What is allowed comes from the settings and the key; the header only says which of it.
        """
        header = strict_json.loads(base64url.decode(segment))
        alg, kid = header.get("alg"), header.get("kid")
        encrypted = alg == "dir"
        if encrypted:
            alg = header.get("enc")
        # A signature is no "enc", and as "alg" A256GCM is another thing (a key wrap, RFC 7518 4.7).
        if encrypted is not (alg == "A256GCM"):
            raise BadToken(Reason.ALGORITHM)
        if type(alg) is not str or alg not in self._algorithms:
            raise BadToken(Reason.ALGORITHM)
        if header.get("typ") != self.keys.typ:
            raise BadToken(Reason.TYPE)
        allowed = _JWE_HEADER if encrypted else _JWS_HEADER
        if not header.keys() <= allowed or header.get("zip", "DEF") != "DEF":
            raise BadToken(Reason.HEADER)
        key = self.keys.find(alg, kid, now) if type(kid) is str else None
        if key is None:
            raise BadToken(Reason.UNKNOWN_KEY)
        return key, "zip" in header
