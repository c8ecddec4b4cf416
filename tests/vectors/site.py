"""The site of the vectors: its keys, its clock, and tokens as it issues them."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from .jose import b64, compact, eddsa, es256, hs256, jwe, kid_of, pem, subkey, thumbprint

WEEK = 2922
NOW = WEEK * 604800 + 1000
SECRET = "a secret of these vectors, of more than 32 bytes"
OLD_SECRET = "Der ältere Schlüssel 🔑, auch er mit über 32 Bytes"
SALT = "sessionid"
EC_KEY = ec.derive_private_key(0xD1CE_0F_5E55_1042, ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

SID = "Zm9ydHktdHdvLWJpdHM_LQ"
ANONYMOUS: dict[str, Any] = {
    "sid": SID,
    "iat": NOW - 100,
    "exp": NOW + 604700,
    "ep": (NOW - 100) * 1000 + 7,
}
LOGIN: dict[str, Any] = ANONYMOUS | {
    "sub": "42",
    "auth_time": NOW - 100.25,
    "be": "Q-k3_x",
    "ah": b64(bytes(range(32))),
}


def header(alg: str, week: int = WEEK, secret: str = SECRET, /, **more: Any) -> dict[str, Any]:
    """Return the header of the profile for `alg`, with other members where they are given."""
    names = {"alg": "dir", "enc": alg} if alg == "A256GCM" else {"alg": alg}
    ed_kid = thumbprint(ED_KEY.public_key())
    kids = {"ES256": thumbprint(EC_KEY.public_key()), "EdDSA": ed_kid, "Ed25519": ed_kid}
    kid = kids.get(alg) or kid_of(secret, SALT, week)
    return names | {"typ": "ses+jwt", "kid": kid} | more


def seal(
    alg: str,
    payload: bytes,
    week: int = WEEK,
    /,
    *,
    secret: str = SECRET,
    raw: bytes = b"",
    **more: Any,
) -> str:
    """Return a token; `raw` is a header to take as it is."""
    text = b64(raw or compact(header(alg, week, secret, **more)))
    if alg == "A256GCM":
        return jwe(text, payload, subkey(secret, SALT, f"encrypt/{week}"))
    if alg == "HS256":
        return hs256(text, payload, subkey(secret, SALT, f"sign/{week}"))
    return es256(text, payload, EC_KEY) if alg == "ES256" else eddsa(text, payload, ED_KEY)


def settings() -> dict[str, Any]:
    return {
        "now": NOW,
        "cookie_name": SALT,
        "keys": [SECRET, OLD_SECRET, pem(EC_KEY), pem(ED_KEY)],
    }
