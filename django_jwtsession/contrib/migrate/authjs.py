"""The session cookie of Auth.js v5 (`next-auth@5`, `@auth/core`): a compact JWE, `dir`.

With A256CBC-HS512 (RFC 7518 5.2), or A256GCM as some betas had it. The key is derived from
AUTH_SECRET by HKDF (RFC 5869), with the name of the cookie as its salt.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from ...exceptions import BadToken, Reason
from ...moving.foreign import Foreign
from ...tokens import base64url, strict_json

COOKIES = ("__Secure-authjs.session-token", "authjs.session-token")
USER_ID = "sub"

_KEY_LENGTHS = {"A256CBC-HS512": 64, "A256GCM": 32}
_HALF = 32


def read(value: str, name: str, secrets: Sequence[str | bytes]) -> Foreign:
    """Return what a cookie says. Raises BadToken, or ValueError, for one that is not good."""
    head, encrypted_key, *parts = value.encode("ascii").split(b".")
    header = strict_json.loads(base64url.decode(head))
    length = _KEY_LENGTHS.get(str(header.get("enc")))
    if header.get("alg") != "dir" or length is None or encrypted_key or not _is_plain(header):
        raise BadToken(Reason.HEADER)
    nonce, text, tag = map(base64url.decode, parts)
    decrypt = _decrypt_cbc if length == 2 * _HALF else _decrypt_gcm
    for secret in secrets:
        plain = decrypt(_key(secret, name, length), head, nonce, text, tag)
        if plain is not None:
            return _foreign(strict_json.loads(plain))
    raise BadToken(Reason.SIGNATURE)


def _is_plain(header: dict[str, Any]) -> bool:
    return "crit" not in header and "zip" not in header


def _key(secret: str | bytes, name: str, length: int) -> bytes:
    material = secret.encode() if isinstance(secret, str) else secret
    info = f"Auth.js Generated Encryption Key ({name})".encode()
    return HKDF(SHA256(), length, name.encode(), info).derive(material)


def _decrypt_cbc(key: bytes, head: bytes, iv: bytes, text: bytes, tag: bytes) -> bytes | None:
    """Return what was encrypted; None under another key. RFC 7518 5.2.2.2."""
    length_of_head = (8 * len(head)).to_bytes(8, "big")
    mac = hmac.digest(key[:_HALF], head + iv + text + length_of_head, "sha512")[:_HALF]
    if not hmac.compare_digest(mac, tag):
        return None
    decryptor = Cipher(AES(key[_HALF:]), CBC(iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    padded = decryptor.update(text) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def _decrypt_gcm(key: bytes, head: bytes, nonce: bytes, text: bytes, tag: bytes) -> bytes | None:
    try:
        return AESGCM(key).decrypt(nonce, text + tag, head)
    except Exception:  # InvalidTag, or no nonce
        return None


def _foreign(claims: dict[str, Any]) -> Foreign:
    issued_at = claims.get("iat")
    return Foreign(claims, float(claims["exp"]), float(issued_at) if issued_at else None)
