"""Compact JWE with ``dir`` and ``A256GCM`` (RFC 7516, RFC 7518 4.5 and 5.3)."""

from __future__ import annotations

import zlib
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..exceptions import BadToken, Reason
from . import base64url, strict_json

MAX_INFLATED = 256 * 1024
_TAG_LENGTH = 16


class DirectKey:
    """One content encryption key: the `encrypt` subkey of one secret and one week.

    Arguments: `kid` names the key, `key` is 32 bytes, `compress` adds ``zip`` to what it issues;
    `typ` is the type of its tokens.
    """

    alg = "A256GCM"

    def __init__(self, kid: str, key: bytes, compress: bool = False, typ: str = "ses+jwt") -> None:
        self.kid = kid
        self._aead = AESGCM(key)
        self._compress = compress
        header = {"alg": "dir", "enc": self.alg, "typ": typ, "kid": kid}
        if compress:
            header["zip"] = "DEF"
        self.header = base64url.encode(strict_json.dumps(header))
        self.prefix = f"{self.header.decode('ascii')}."

    def seal(self, payload: bytes) -> bytes:
        """Return `payload` as a compact JWE under a fresh random 96-bit nonce."""
        if self._compress:
            payload = _deflate(payload)
        nonce = urandom(12)
        sealed = self._aead.encrypt(nonce, payload, self.header)
        encode = base64url.encode
        return b"%b..%b.%b.%b" % (
            self.header,
            encode(nonce),
            encode(sealed[:-_TAG_LENGTH]),
            encode(sealed[-_TAG_LENGTH:]),
        )

    def open(self, parts: list[bytes], compressed: bool) -> bytes:
        """Return the payload of a token that was split at its dots.

        Raises BadToken: ``malformed``, ``signature`` (altered, or sealed with another key), or
        ``compression``.
        """
        if len(parts) != 5 or parts[1]:
            raise BadToken(Reason.MALFORMED)
        header, _, nonce, ciphertext, tag = parts
        if len(nonce) != 16 or len(tag) != 22:
            raise BadToken(Reason.MALFORMED)
        decode = base64url.decode
        try:
            payload = self._aead.decrypt(decode(nonce), decode(ciphertext) + decode(tag), header)
        except InvalidTag:
            raise BadToken(Reason.SIGNATURE) from None
        return _inflate(payload) if compressed else payload


def _deflate(payload: bytes) -> bytes:
    # What nobody would inflate does not shrink: it stays too large for a cookie, which is seen.
    level = 0 if len(payload) > MAX_INFLATED else zlib.Z_DEFAULT_COMPRESSION
    compressor = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    return compressor.compress(payload) + compressor.flush()


def _inflate(payload: bytes) -> bytes:
    """Undo raw DEFLATE (RFC 7516 4.1.3); stop at 256 KiB, before a bomb has its memory."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(payload, MAX_INFLATED)
    except zlib.error:
        raise BadToken(Reason.COMPRESSION) from None
    if not inflater.eof or inflater.unused_data:
        raise BadToken(Reason.COMPRESSION)
    return data
