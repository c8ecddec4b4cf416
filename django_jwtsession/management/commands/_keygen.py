"""New keys. Neither settings nor database are needed."""

from __future__ import annotations

import base64
import os

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

KEY_TYPES = ("secret", "ec", "ed25519")


def keygen(kind: str) -> str:
    """Return a new key: 32 random bytes as `openssl rand -base64 32` prints them, or PKCS 8 PEM."""
    if kind == "secret":
        return base64.b64encode(os.urandom(32)).decode("ascii")
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if kind == "ec":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
