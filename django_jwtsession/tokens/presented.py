"""What a key signs that its holder presents: a compact JWS under ES256, and the key as a JWK.

Here it is the device's key of a browser; nothing of ours is signed with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

from jwt.algorithms import ECAlgorithm
from jwt.exceptions import InvalidKeyError

from ..exceptions import BadToken, Reason
from . import base64url, strict_json
from .jws import ES256, SignatureKey

_MAX_LENGTH = 4096


class Presented:
    """A compact JWS whose signature nobody has verified yet.

    Arguments: `text` is bare, or a quoted string (RFC 8941 3.3.3); `typ` is its type; `with_key`
    tells whether its header has the key, and not only may have it. No other member may be there.
    `audience` lists what `aud` may be where there is one (RFC 7519 4.1.3).

    Raises BadToken.
    """

    def __init__(self, text: str, typ: str, with_key: bool, audience: Collection[str] = ()) -> None:
        text = text.strip().removeprefix('"').removesuffix('"')
        self._parts = text.encode("ascii", "replace").split(b".")
        if len(text) > _MAX_LENGTH or len(self._parts) != 3:
            raise BadToken(Reason.MALFORMED)
        header, payload, signature = map(base64url.decode, self._parts)
        head, self.payload = strict_json.loads(header), strict_json.loads(payload)
        self.jwk = public_jwk(head.pop("jwk", None)) if with_key else {}
        if head != {"alg": "ES256", "typ": typ} or len(signature) != 64:
            raise BadToken(Reason.HEADER)
        if "aud" in self.payload and self.payload["aud"] not in audience:
            raise BadToken(Reason.AUDIENCE)

    def verify(self, jwk: dict[str, str]) -> None:
        """Raise BadToken unless it was signed with the key of a public_jwk()."""
        try:
            public = ECAlgorithm.from_jwk(dict(jwk))
        except (InvalidKeyError, ValueError):  # not on the curve
            raise BadToken(Reason.MALFORMED) from None
        SignatureKey("", "ES256", ES256(), None, public).open(self._parts, compressed=False)


def public_jwk(jwk: Any) -> dict[str, str]:
    """Return the members of a key on P-256 that name it (RFC 7638 3.2). Raises BadToken."""
    members = jwk if isinstance(jwk, dict) else {}
    if (members.get("kty"), members.get("crv")) != ("EC", "P-256"):
        raise BadToken(Reason.ALGORITHM)
    x, y = members.get("x"), members.get("y")
    if not all(isinstance(each, str) and len(each) == 43 for each in (x, y)):
        raise BadToken(Reason.MALFORMED)
    return {"crv": "P-256", "kty": "EC", "x": str(x), "y": str(y)}


def thumbprint(jwk: dict[str, str]) -> str:
    """Return the thumbprint of a public_jwk() (RFC 7638)."""
    return base64url.encode(hashlib.sha256(strict_json.dumps(jwk)).digest()).decode("ascii")
