"""Compact JWS (RFC 7515) over PyJWT's algorithm objects, which hold the cryptography."""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import Algorithm, ECAlgorithm
from jwt.utils import der_to_raw_signature

from ..exceptions import BadToken, Reason
from . import base64url, strict_json


class ES256(ECAlgorithm):
    """ECDSA that draws no random number for a signature, where the library can (RFC 6979).

    One that is drawn badly, once, tells the private key.
    """

    def __init__(self) -> None:
        super().__init__(ECAlgorithm.SHA256)
        try:
            self._scheme = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        except UnsupportedAlgorithm:  # OpenSSL before 3.2
            self._scheme = ec.ECDSA(hashes.SHA256())

    def sign(self, msg: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
        return der_to_raw_signature(key.sign(msg, self._scheme), key.curve)


class SignatureKey:
    """One key of one algorithm, fixed here and not by any token.

    Arguments: `kid` names the key; `alg` is its name in RFC 7518, 8037 or 9864; `signer` is PyJWT's
    object for it; `private` signs, or is None for a key that only verifies; `public` verifies;
    `typ` is the type of its tokens.
    """

    def __init__(
        self,
        kid: str,
        alg: str,
        signer: Algorithm,
        private: Any | None,
        public: Any,
        typ: str = "ses+jwt",
    ) -> None:
        self.kid = kid
        self.alg = alg
        self._signer = signer
        self._private = private
        self._public = public
        header = {"alg": alg, "typ": typ, "kid": kid}
        self.header = base64url.encode(strict_json.dumps(header))
        self.prefix = f"{self.header.decode('ascii')}."

    @property
    def signs(self) -> bool:
        return self._private is not None

    def seal(self, payload: bytes) -> bytes:
        """Return `payload` as a compact JWS."""
        message = self.header + b"." + base64url.encode(payload)
        return message + b"." + base64url.encode(self._signer.sign(message, self._private))

    def open(self, parts: list[bytes], compressed: bool) -> bytes:
        """Return the payload of a token that was split at its dots.

        Raises BadToken: ``malformed`` or ``signature``. `compressed` is never true: the codec lets
        no ``zip`` into the header of a signed token.
        """
        if len(parts) != 3:
            raise BadToken(Reason.MALFORMED)
        header, payload, signature = parts
        if not self._signer.verify(
            header + b"." + payload, self._public, base64url.decode(signature)
        ):
            raise BadToken(Reason.SIGNATURE)
        return base64url.decode(payload)
