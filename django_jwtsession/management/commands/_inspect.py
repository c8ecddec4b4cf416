"""What a session token says and whether it is believed, in words."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from ...conf import Config, get_config
from ...exceptions import BadToken, Reason
from ...models.place import current_place
from ...tokens import base64url, strict_json
from ...tokens.codec import MAX_LENGTH

_TIMES = ("iat", "exp", "ep", "nbf", "auth_time", "pt", "mx", "rv")
# Session data, and what Django compares logins with.
_HIDDEN = ("d", "ah")
# With the sid it is a key that opens the session: never shown.
_SECRET = ("sk",)
_WORDS = {
    "sid": "session",
    "iat": "issued",
    "exp": "ends",
    "ep": "epoch began",
    "nbf": "not before",
    "iss": "issuer",
    "aud": "audience",
    "place": "place",
    "sub": "user",
    "auth_time": "signed in",
    "pt": "last proof",
    "be": "login backend",
    "ah": "login hash",
    "sk": "random part of the key",
    "mx": "older tokens end",
    "rv": "copy trusted until",
    "gen": "generation",
    "ver": "row version",
    "d": "data",
    "big": "data only in the row",
    "jkt": "bound to the key",
}
_VERDICTS = {
    Reason.TOO_LONG: f"longer than {MAX_LENGTH} characters",
    Reason.MALFORMED: "no token of the compact form",
    Reason.HEADER: "its header has members that are not allowed",
    Reason.TYPE: 'its type is neither "ses+jwt" nor "dbp+jwt"',
    Reason.ALGORITHM: 'its algorithm is not in JWTSESSION["ALGORITHMS"]',
    Reason.UNKNOWN_KEY: 'no key in JWTSESSION["KEYS"] has its kid',
    Reason.SIGNATURE: "altered, or made with another key",
    Reason.COMPRESSION: "its compressed part cannot be read",
    Reason.CLAIMS: "a claim is missing or of the wrong form",
    Reason.ISSUER: 'issued by another issuer than JWTSESSION["ISSUER"]',
    Reason.AUDIENCE: 'made for another audience than JWTSESSION["AUDIENCE"], or for another place',
    Reason.NOT_YET_VALID: "not valid yet; compare the clocks",
    Reason.EXPIRED: "expired",
    Reason.REVOKED: "its session was ended",
}


@dataclass(frozen=True)
class Report:
    """Header and claims as far as they may be shown; `claims` are None unless authentic."""

    header: dict[str, Any] | None
    claims: dict[str, Any] | None
    reason: Reason | None
    now: float

    @property
    def valid(self) -> bool:
        return self.reason is None

    def as_json(self) -> str:
        """Return one JSON object for programs; times as NumericDate."""
        return json.dumps(
            {
                "header": self.header,
                "claims": self.claims,
                "valid": self.valid,
                "reason": self.reason and self.reason.value,
            }
        )

    def as_text(self) -> str:
        """Return lines for people; times in UTC."""
        lines = ["Header"]
        lines += _lines(self.header) if self.header is not None else ["  cannot be read"]
        lines.append("Claims")
        if self.claims is None:
            lines.append("  not shown: the token did not prove authentic")
        else:
            lines += _lines({_label(n): self._value(n, v) for n, v in self.claims.items()})
        lines.append(f"Verdict: {self._verdict()}")
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.reason is None:
            return "valid (the token; whether its session has ended is not looked up)"
        return f"refused, {self.reason.value}: {_VERDICTS[self.reason]}"

    def _value(self, name: str, value: Any) -> Any:
        if name not in _TIMES or type(value) not in (int, float):
            return value
        if name == "pt" and value == 0:
            return "none"
        seconds = value / 1000 if name == "ep" else value
        try:
            date = datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return value
        return f"{date:%Y-%m-%d %H:%M:%S} UTC ({_distance(seconds - self.now)})"


def inspect(token: str, *, reveal: bool) -> Report:
    """Return what `token` says now.

    Raises CommandError where the site's own settings leave no keys to judge it by.
    """
    now = time.time()
    header = _header(token)
    # The proof of a device's key, beside the session's own cookie: see docs/dbsc.md.
    typ = "dbp+jwt" if header and header.get("typ") == "dbp+jwt" else "ses+jwt"
    try:
        config = get_config()
        codec = config.codec_in(current_place(), typ=typ)
    except ImproperlyConfigured as error:
        raise CommandError(str(error), returncode=2) from None
    claims = reason = None
    try:
        claims = _shown(codec.open(token, now), reveal, config)
        codec.read(token, now)
    except BadToken as error:
        reason = error.reason
    return Report(header, claims, reason, now)


def _header(token: str) -> dict[str, Any] | None:
    """Return the header, which is anyone's claim; None where it cannot be read."""
    if len(token) > MAX_LENGTH:
        return None
    try:
        header = strict_json.loads(base64url.decode(token.partition(".")[0].encode("ascii")))
        json.dumps(header)  # may be nested deeper than can be written
    except (BadToken, UnicodeEncodeError, RecursionError):
        return None
    return header


def _shown(payload: dict[str, Any], reveal: bool, config: Config) -> dict[str, Any]:
    """Return the claims with session data hidden, or with `reveal` decoded."""
    hidden = _SECRET if reveal else (*_SECRET, *_HIDDEN)
    payload = {name: "(hidden)" if name in hidden else v for name, v in payload.items()}
    if not reveal:
        return payload
    data = payload.get("d")
    if isinstance(data, str):
        try:
            decoded = config.serializer().loads(base64url.decode(data.encode("ascii")))
            payload = payload | {"d": json.loads(json.dumps(decoded, default=repr))}
        except Exception:  # a serializer may raise anything; the text stays as it is
            return payload
    return payload


def _label(name: str) -> str:
    return f"{name}, {_WORDS[name]}" if name in _WORDS else name


def _lines(members: dict[str, Any]) -> list[str]:
    # JSON escapes what a terminal would obey.
    shown = {_plain(n): v if _is_words(v) else json.dumps(v) for n, v in members.items()}
    width = max(map(len, shown), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in shown.items()]


def _is_words(value: Any) -> bool:
    return type(value) is str and value.isascii() and value.isprintable()


def _plain(name: str) -> str:
    return name if _is_words(name) else json.dumps(name)


def _distance(seconds: float) -> str:
    """Return "in 3 days" or "2 hours ago"."""
    amount = abs(seconds)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if amount >= length or unit == "second":
            count = int(amount // length)
            words = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"in {words}" if seconds > 0 else f"{words} ago"
    raise AssertionError
