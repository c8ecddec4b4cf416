"""What a row holds, sealed: who reads the table learns nothing, who writes to it changes nothing.

    sealed = 1 (one byte), fingerprint (6), n (1), nonce (12), ciphertext and tag of A256GCM

under HKDF-SHA256(secret, salt "row" or "row/<place>", info = "django_jwtsession/1/row/<n>", 32).
Bound to its place by the caller's associated data. A row lives for as long as its session, so the
keys follow no week, nor the name of the cookie, which a site may change with nobody logged out: n,
random, makes them 256, for 2^40 rows written under one secret (NIST SP 800-38D 8.3 allows 2^32 a
key).
"""

from __future__ import annotations

from collections.abc import Sequence
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..exceptions import BadKey, BadToken, Reason
from .keys import Secret, salt_of, secrets_by_fingerprint

_VERSION = b"\1"
_HEADER = 8  # version, fingerprint, n
_NONCE = 12


class RowSeal:
    """Seals under the newest secret, opens what any of them sealed.

    Arguments: `secrets`, newest first, are str or bytes, no PEM keys; `place` as in KeyRing.

    Raises BadKey where there is no secret, and where two have one fingerprint.
    """

    def __init__(self, secrets: Sequence[str | bytes], place: str = "") -> None:
        if not secrets:
            raise BadKey("no secret seals the rows")
        salt = salt_of("row", place)
        known = secrets_by_fingerprint(Secret(secret, salt) for secret in secrets)
        self._secrets = {mark.encode(): secret for mark, secret in known.items()}
        self._newest = _VERSION + next(iter(self._secrets))
        # By the first bytes of what they seal; 256 at most for each secret.
        self._keys: dict[bytes, AESGCM] = {}

    def seal(self, data: bytes, associated: bytes) -> bytes:
        """Return `data` sealed; only with the same `associated` it opens again."""
        random = urandom(1 + _NONCE)
        header, nonce = self._newest + random[:1], random[1:]
        return header + nonce + self._key(header).encrypt(nonce, data, header + associated)

    def open(self, sealed: bytes, associated: bytes) -> tuple[bytes, bool]:
        """Return the data in `sealed`, and whether it is under the newest secret.

        Raises BadToken (row) for what is altered, cut, sealed under an unknown secret, or was moved
        here from a row with other `associated` data.
        """
        header, nonce = sealed[:_HEADER], sealed[_HEADER : _HEADER + _NONCE]
        try:
            key = self._key(header)
            data = key.decrypt(nonce, sealed[_HEADER + _NONCE :], header + associated)
        except (InvalidTag, KeyError, ValueError):  # ValueError: no nonce, where it is cut
            raise BadToken(Reason.ROW) from None
        return data, header.startswith(self._newest)

    def _key(self, header: bytes) -> AESGCM:
        """Return the key that `header` names. Raises KeyError where there is none."""
        key = self._keys.get(header)
        if key is None:
            if len(header) != _HEADER or header[:1] != _VERSION:
                raise KeyError
            secret = self._secrets[header[1:-1]]
            key = self._keys[header] = AESGCM(secret.derive(f"row/{header[-1]}"))
        return key
