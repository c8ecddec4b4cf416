"""The key ring: secrets and PEM keys, weekly subkeys, and the `kid` that finds each.

The profile, so that others can implement it: for use `encrypt` (A256GCM) or `sign` (HS256)

    key = HKDF-SHA256(secret, salt = cookie name, info = "django_jwtsession/1/<use>/<week>", 32)
    kid = "<week>-<first 6 characters of base64url(HKDF-SHA256(.., "django_jwtsession/1/kid", 32))>"

with week = Unix time // 604800; where the site has places, the salt is "<cookie name>/<place>". A
PEM key is used as it is; its `kid` is its RFC 7638 thumbprint.
"""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.algorithms import Algorithm, HMACAlgorithm, OKPAlgorithm

from ..exceptions import BadKey
from . import base64url, strict_json
from .jwe import DirectKey
from .jws import ES256, SignatureKey

WEEK = 604800
# Browsers keep no cookie longer than 400 days (RFC 6265bis 5.5).
MAX_COOKIE_AGE = 400 * 86400
SYMMETRIC = {"A256GCM": "encrypt", "HS256": "sign"}
# RFC 9864 names the algorithm of Ed25519 keys anew; RFC 8037's name goes on to be read and, where a
# site lists it first, issued.
ED25519 = ("Ed25519", "EdDSA")
ALGORITHMS = (*SYMMETRIC, "ES256", *ED25519)

_parse_kid = re.compile(r"(0|[1-9][0-9]{0,5})-([A-Za-z0-9_-]{6})").fullmatch

KeySource = str | bytes | Path
_PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class Key(Protocol):
    """What the codec asks of a key, whatever its kind."""

    kid: str
    alg: str
    header: bytes
    prefix: str

    def seal(self, payload: bytes) -> bytes: ...
    def open(self, parts: list[bytes], compressed: bool) -> bytes: ...


class Secret:
    """A shared secret; never used raw, only through the keys derived from it."""

    def __init__(self, secret: str | bytes, salt: str) -> None:
        self.ikm = _as_bytes(secret)
        self._salt = salt.encode()
        self.fingerprint = base64url.encode(self.derive("kid"))[:6].decode()

    def key(self, alg: str, week: int, compress: bool, typ: str = "ses+jwt") -> Key:
        """Return the subkey of `alg` for the `week` since 1970, for tokens of the type `typ`."""
        kid = f"{week}-{self.fingerprint}"
        raw = self.derive(f"{SYMMETRIC[alg]}/{week}")
        if alg == "A256GCM":
            return DirectKey(kid, raw, compress, typ)
        return SignatureKey(kid, alg, HMACAlgorithm(HMACAlgorithm.SHA256), raw, raw, typ)

    def derive(self, name: str) -> bytes:
        """Return the 32 bytes of the subkey `name`."""
        info = f"django_jwtsession/1/{name}".encode()
        return HKDF(hashes.SHA256(), 32, self._salt, info).derive(self.ikm)


def salt_of(cookie_name: str, place: str = "") -> str:
    """Return the salt of all keys of a cookie, in one place (a database, a tenant's schema)."""
    # No cookie's name has a slash (RFC 6265 4.1.1), so no two of them meet.
    return f"{cookie_name}/{place}" if place else cookie_name


def secrets_by_fingerprint(secrets: Iterable[Secret]) -> dict[str, Secret]:
    """Return `secrets` in their order, each once.

    Raises BadKey where two that differ have one fingerprint (once in 69 billion pairs): what the
    later one issued would be refused without a word.
    """
    known: dict[str, Secret] = {}
    for secret in secrets:
        if known.setdefault(secret.fingerprint, secret).ikm != secret.ikm:
            raise BadKey("it has the fingerprint of another secret; use another one")
    return known


class KeyRing:
    """All keys of a site, newest first.

    Arguments: `sources` are secrets (str or bytes), PEM text (str), or paths of PEM files (Path, or
    a str that ends in .pem); `place` names the part of the site whose tokens open nothing in
    another; `max_age` (seconds) is the longest life of a token; `compress` and `typ` as in
    DirectKey. A public PEM key verifies and never issues.

    Raises BadKey for a PEM that cannot be read or is of another kind, and for two secrets of one
    fingerprint.
    """

    def __init__(
        self,
        sources: Sequence[KeySource],
        cookie_name: str,
        *,
        place: str = "",
        max_age: float = MAX_COOKIE_AGE,
        compress: bool = False,
        typ: str = "ses+jwt",
    ) -> None:
        self.typ = typ
        self._weeks_back = int(max(max_age, MAX_COOKIE_AGE)) // WEEK + 1
        self._compress = compress
        self._secrets: dict[str, Secret] = {}
        self._pem: dict[tuple[str, str], SignatureKey] = {}  # by algorithm and kid
        self.jwks: dict[str, list[dict[str, str]]] = {"keys": []}
        salt = salt_of(cookie_name, place)
        for number, source in enumerate(sources, 1):
            try:
                self._add(source, salt)
            except BadKey as error:
                raise BadKey(f"key {number}: {error}") from None
        # One entry for each known secret, algorithm and week in reach: bounded by its keys.
        self._subkeys: dict[tuple[str, int, str], Key] = {}

    def find(self, alg: str, kid: str, now: float) -> Key | None:
        """Return the key that `kid` names, if it is one for `alg`, else None.

        Nothing is derived for an unknown secret or for a week in which no living token was issued.
        """
        if alg not in SYMMETRIC:
            return self._pem.get((alg, kid))
        match = _parse_kid(kid)
        if match is None:
            return None
        week, this_week = int(match[1]), int(now) // WEEK
        secret = self._secrets.get(match[2])
        # A week ahead: the issuer's clock may be past the boundary that ours has yet to reach.
        if secret is None or not this_week - self._weeks_back <= week <= this_week + 1:
            return None
        return self._subkey(secret, alg, week)

    def newest(self, alg: str, now: float) -> Key | None:
        """Return the key that issues tokens of `alg` now, or None where the ring has none."""
        if alg in SYMMETRIC:
            for secret in self._secrets.values():
                return self._subkey(secret, alg, int(now) // WEEK)
            return None
        return next((key for key in self._pem.values() if key.alg == alg and key.signs), None)

    def can_issue(self, alg: str) -> bool:
        """Tell whether `newest` has a key for `alg`."""
        if alg in SYMMETRIC:
            return bool(self._secrets)
        return any(key.alg == alg and key.signs for key in self._pem.values())

    def _subkey(self, secret: Secret, alg: str, week: int) -> Key:
        key = self._subkeys.get((alg, week, secret.fingerprint))
        if key is None:
            key = secret.key(alg, week, self._compress, self.typ)
            self._subkeys[alg, week, secret.fingerprint] = key
        return key

    def _add(self, source: KeySource, salt: str) -> None:
        pem = read_pem(source)
        if pem is not None:
            self._add_pem(pem)
        else:
            secret = Secret(source, salt)  # type: ignore[arg-type]  # no Path: read_pem took it
            self._secrets = secrets_by_fingerprint([*self._secrets.values(), secret])

    def _add_pem(self, pem: bytes) -> None:
        private, public = _load_pem(pem)
        jwk = _public_jwk(public)
        thumbprint = hashlib.sha256(strict_json.dumps(jwk)).digest()
        kid = base64url.encode(thumbprint).decode()
        names, signer = _algorithm(public)
        known = self._pem.get((names[0], kid))
        if known is None:
            # No name for a key that has two: others take the one that is not in the token amiss.
            alg = {"alg": names[0]} if len(names) == 1 else {}
            self.jwks["keys"].append({**jwk, "use": "sig", **alg, "kid": kid})
        if known is None or not known.signs:
            for name in names:
                self._pem[name, kid] = SignatureKey(kid, name, signer, private, public, self.typ)


def read_pem(source: KeySource) -> bytes | None:
    """Return the PEM text that `source` is or names, or None where it is a secret.

    Raises BadKey where it names a file that cannot be read, and where it is no secret: empty, a
    public key in another form than PEM, or the path of a file.
    """
    if isinstance(source, Path) or (isinstance(source, str) and source.endswith(".pem")):
        try:
            return Path(source).read_bytes()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "no path"
            raise BadKey(f"its PEM file cannot be read ({why})") from None
    data = _as_bytes(source)
    if b"-----BEGIN " in data:
        return data
    if not data:
        raise BadKey("it is empty")
    if _is_public(data):
        raise BadKey("it is a public key and no secret; write it as PEM")
    if isinstance(source, str) and os.sep in source and os.path.isfile(source):
        raise BadKey("it is the path of a file; write it as a Path, or let it end in .pem")
    return None


def _as_bytes(source: KeySource) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return str(source).encode()
    except UnicodeEncodeError:  # from an environment variable that is no UTF-8
        raise BadKey("it is no UTF-8; write it as bytes") from None


def _is_public(data: bytes) -> bool:
    """Tell whether what stands in the place of a secret is known to all: SSH, JWK or DER."""
    text = data.strip()
    if text.startswith((b"ssh-", b"ecdsa-sha2-")) or (text[:1] == b"{" and b'"kty"' in text):
        return True
    with suppress(ValueError):
        text = b64decode(b"".join(text.split()), validate=True)
    for der in (data, text):
        with suppress(Exception):  # as in _load_pem
            serialization.load_der_public_key(der)
            return True
    return False


def _load_pem(pem: bytes) -> tuple[Any | None, _PublicKey]:
    try:
        if b"PRIVATE KEY-----" in pem:
            private: Any = serialization.load_pem_private_key(pem, password=None)
            public: Any = private.public_key()
        else:
            private, public = None, serialization.load_pem_public_key(pem)
    except Exception:  # cryptography raises a dozen kinds, some with the text in their message
        raise BadKey("its PEM text cannot be read; it must be an unencrypted key") from None
    if isinstance(public, ed25519.Ed25519PublicKey) or (
        isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1)
    ):
        return private, public
    raise BadKey("it is neither an EC key on P-256 nor an Ed25519 key")


def _algorithm(public: _PublicKey) -> tuple[tuple[str, ...], Algorithm]:
    """Return the one algorithm for a key: its names, and PyJWT's object."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return ("ES256",), ES256()
    return ED25519, OKPAlgorithm()


def _public_jwk(key: _PublicKey) -> dict[str, str]:
    """Return the members that RFC 7638 3.2 hashes, in its order (RFC 7518 6.2, RFC 8037 2)."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {
            "crv": "Ed25519",
            "kty": "OKP",
            "x": base64url.encode(key.public_bytes_raw()).decode(),
        }
    numbers = key.public_numbers()
    x, y = (base64url.encode(n.to_bytes(32, "big")).decode() for n in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}
