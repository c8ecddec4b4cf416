"""The cookie of iron-session 8 and 9: a seal of iron-webcrypto, "Fe26.2", AES-256-CBC and HMAC.

Its name is the application's own choice: {"engine": .., "cookie": "name", "secret": ..}. A secret
is its password, or a dict of passwords by their number.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from hashlib import pbkdf2_hmac
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from ...exceptions import BadToken, Reason
from ...moving.foreign import Foreign
from ...tokens import base64url, strict_json

COOKIES = ("iron-session",)
USER_ID = "userId"

_PREFIX = "Fe26.2"
_MARKER = "2"

Passwords = Sequence[str | bytes | Mapping[str, str]]


def read(value: str, name: str, secrets: Passwords) -> Foreign:
    """Return what a cookie says. Raises BadToken, or ValueError, for one that is not good."""
    seal, _, marker = value.partition("~")
    prefix, number, salt, iv, text, end, mac_salt, mac = seal.split("*")
    # The marker is under no MAC: with another one the same seal would be another cookie, and come
    # in again. A seal without an end would outlive the note that it has been read.
    if (prefix, marker) != (_PREFIX, _MARKER) or not end:
        raise BadToken(Reason.HEADER)
    signed = seal.rsplit("*", 2)[0].encode("ascii")
    given = base64url.decode(mac.encode("ascii"))
    for password in _passwords(number, secrets):
        key = _derive(password, mac_salt)
        if hmac.compare_digest(hmac.digest(key, signed, "sha256"), given):
            plain = _decrypt(_derive(password, salt), iv, text)
            return Foreign(strict_json.loads(plain), int(end) / 1000)
    raise BadToken(Reason.SIGNATURE)


def _passwords(number: str, secrets: Passwords) -> Iterator[bytes]:
    """Yield the passwords that a seal with that number may be under."""
    for secret in secrets:
        if isinstance(secret, Mapping):
            found: Any = secret.get(number)
        else:
            found = secret
        if found:
            yield found.encode() if isinstance(found, str) else found


def _derive(password: bytes, salt: str) -> bytes:
    return pbkdf2_hmac("sha1", password, salt.encode("ascii"), 1, 32)


def _decrypt(key: bytes, iv: str, text: str) -> bytes:
    decoded_iv, decoded = (base64url.decode(part.encode("ascii")) for part in (iv, text))
    decryptor = Cipher(AES(key), CBC(decoded_iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    padded = decryptor.update(decoded) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()
