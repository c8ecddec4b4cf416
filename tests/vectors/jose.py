"""JOSE by hand, from the RFCs and nothing of the package: what makes the vectors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int = 32) -> bytes:
    """RFC 5869 with SHA-256, from its two steps."""
    prk = hmac.digest(salt or bytes(32), secret, "sha256")
    output = block = b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        output += block
    return output[:length]


def subkey(secret: str, salt: str, name: str) -> bytes:
    return hkdf(secret.encode(), salt.encode(), f"django_jwtsession/1/{name}".encode())


def kid_of(secret: str, salt: str, week: int) -> str:
    return f"{week}-{b64(subkey(secret, salt, 'kid'))[:6]}"


def deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, wbits=-15)
    return deflater.compress(data) + deflater.flush()


def jwe(header: str, payload: bytes, key: bytes, seed: str = "") -> str:
    """Return a compact JWE (dir, A256GCM); its nonce comes from `seed`: for vectors alone."""
    nonce = hashlib.sha256(seed.encode() + header.encode() + payload).digest()[:12]
    sealed = AESGCM(key).encrypt(nonce, payload, header.encode())
    return f"{header}..{b64(nonce)}.{b64(sealed[:-16])}.{b64(sealed[-16:])}"


def hs256(header: str, payload: bytes, key: bytes) -> str:
    message = f"{header}.{b64(payload)}"
    return f"{message}.{b64(hmac.digest(key, message.encode(), 'sha256'))}"


def es256(header: str, payload: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """Return a compact JWS; the nonce of the signature is RFC 6979's."""
    message = f"{header}.{b64(payload)}"
    scheme = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(message.encode(), scheme))
    return f"{message}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def eddsa(header: str, payload: bytes, key: ed25519.Ed25519PrivateKey) -> str:
    message = f"{header}.{b64(payload)}"
    return f"{message}.{b64(key.sign(message.encode()))}"


def pem(key: Any) -> str:
    """Return the PEM text of a private or a public key."""
    text: bytes
    if hasattr(key, "private_bytes"):
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    else:
        text = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return text.decode()


def jwk(public: Any) -> dict[str, str]:
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"crv": "Ed25519", "kty": "OKP", "x": b64(public.public_bytes_raw())}
    x, y = (n.to_bytes(32, "big") for n in (public.public_numbers().x, public.public_numbers().y))
    return {"crv": "P-256", "kty": "EC", "x": b64(x), "y": b64(y)}


def thumbprint(public: Any) -> str:
    return b64(hashlib.sha256(compact(jwk(public))).digest())
