"""Every error of the package, and the reason codes that go into its log. Imports no Django."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a token was refused; the ``reason`` of a record of ``django.security.jwtsession``."""

    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    HEADER = "header"
    TYPE = "type"
    ALGORITHM = "algorithm"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    COMPRESSION = "compression"
    CLAIMS = "claims"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    ROW = "row"


class JWTSessionError(Exception):
    """The root of the package's own errors."""


class BadToken(JWTSessionError):
    """A token is refused. ``reason`` says why; the message never holds a part of the token."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class BadKey(JWTSessionError):
    """An entry of ``JWTSESSION["KEYS"]`` cannot be used; the message never holds a part of it."""


class SessionEnded(JWTSessionError):
    """The session with which a stream or a socket lives is over; `session.watch()` raises it."""

    def __init__(self) -> None:
        super().__init__("The session is over.")


class SessionTooLarge(JWTSessionError):
    """The session does not fit into one cookie: name and value, RFC 6265 6.1."""

    def __init__(
        self, size: int, limit: int, biggest: list[tuple[str, int]], fits_compressed: bool = False
    ) -> None:
        compress = ' JWTSESSION["COMPRESS"] = True would make it fit.' if fits_compressed else ""
        keys = ", ".join(f"{key!r} ({length} bytes)" for key, length in biggest)
        super().__init__(
            f"The session cookie would be {size} bytes with its name, the limit is {limit}"
            f" (MAX_COOKIE_SIZE; browsers drop it over 4096). Biggest keys: {keys or 'none'}."
            " Store less in the session, or use the engine django_jwtsession.backends.hybrid,"
            f" which keeps large sessions in their row.{compress}"
        )
        self.size = size
        self.limit = limit
        self.biggest = biggest
