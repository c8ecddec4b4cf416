"""The RFCs' own examples against the primitives that the tokens are made of."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.algorithms import HMACAlgorithm

from django_jwtsession.exceptions import BadToken, Reason
from django_jwtsession.tokens import base64url
from django_jwtsession.tokens.jwe import DirectKey
from django_jwtsession.tokens.jws import SignatureKey
from django_jwtsession.tokens.keys import KeyRing, Secret
from tests.vectors.jose import hkdf, pem

JOE = b'{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
JOE_TEXT = (
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)


def number(text: bytes) -> int:
    return int.from_bytes(base64url.decode(text), "big")


def the_only_pem(text: str) -> SignatureKey:
    key, *_ = KeyRing([text], "sessionid")._pem.values()  # Ed25519 has two names
    return key


def opened(key: SignatureKey, token: str) -> bytes:
    return key.open(token.encode().split(b"."), False)


def refused(key: SignatureKey, token: str) -> Reason:
    with pytest.raises(BadToken) as error:
        opened(key, token)
    return error.value.reason


def test_rfc_7515_a_1_hs256() -> None:
    raw = base64url.decode(
        b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    )
    key = SignatureKey("k", "HS256", HMACAlgorithm(HMACAlgorithm.SHA256), raw, raw)
    head = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    mac = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert opened(key, f"{head}.{JOE_TEXT}.{mac}") == JOE
    assert refused(key, f"{head}.{JOE_TEXT}.e{mac[1:]}") == Reason.SIGNATURE


def test_rfc_7515_a_3_es256() -> None:
    point = ec.EllipticCurvePublicNumbers(
        number(b"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
        number(b"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
        ec.SECP256R1(),
    )
    key = the_only_pem(pem(point.public_key()))
    mac = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    assert opened(key, f"eyJhbGciOiJFUzI1NiJ9.{JOE_TEXT}.{mac}") == JOE
    assert refused(key, f"eyJhbGciOiJFUzI1NiJ9.{JOE_TEXT}.E{mac[1:]}") == Reason.SIGNATURE


def test_rfc_8037_a_eddsa_and_thumbprint() -> None:
    raw = base64url.decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    key = the_only_pem(pem(ed25519.Ed25519PrivateKey.from_private_bytes(raw)))
    head, text = "eyJhbGciOiJFZERTQSJ9", "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    mac = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    assert opened(key, f"{head}.{text}.{mac}") == b"Example of Ed25519 signing"
    assert refused(key, f"{head}.{text}.i{mac[1:]}") == Reason.SIGNATURE
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"  # A.3, by RFC 7638
    key.header = head.encode()
    assert key.seal(b"Example of Ed25519 signing").decode() == f"{head}.{text}.{mac}"


def test_rfc_7516_a_1_content_under_a256gcm() -> None:
    """Its content encryption key is given; RSA wraps it there, nothing does here."""
    cek = bytes.fromhex("b1a1f480548fe1733fb403ff6b9ad4f68a076e5b702e22692f82cb2e7aea40fc")
    parts = [
        b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ",
        b"",
        b"48V1_ALb6US04U3b",
        b"5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A",
        b"XFBoMYUZodetZdvTiFvSkQ",
    ]
    plain = b"The true sign of intelligence is not knowledge but imagination."
    assert DirectKey("k", cek).open(parts, False) == plain
    with pytest.raises(BadToken):  # the header is authenticated as well
        DirectKey("k", cek).open([b"eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0", *parts[1:]], False)


def test_rfc_5869_case_1_hkdf() -> None:
    ikm, salt, info = bytes([0x0B]) * 22, bytes(range(13)), bytes(range(0xF0, 0xFA))
    okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    assert hkdf(ikm, salt, info, 42).hex() == okm
    assert HKDF(hashes.SHA256(), 42, salt, info).derive(ikm).hex() == okm


def test_subkeys_are_hkdf_as_the_profile_says() -> None:
    secret = Secret("s3cr€t", "cookie")
    expected = hkdf("s3cr€t".encode(), b"cookie", b"django_jwtsession/1/encrypt/2950")
    assert secret.derive("encrypt/2950") == expected
