"""joserfc, jwcrypto and PyJWT read what we write, and we what they write."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from joserfc import jwe as joserfc_jwe
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, OctKey, OKPKey
from jwcrypto import jwe as jwcrypto_jwe
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jws as jwcrypto_jws

from django_jwtsession.exceptions import BadToken
from django_jwtsession.tokens.claims import Claims, payload
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import ALGORITHMS, KeyRing, Secret
from django_jwtsession.tokens.sid import new_sid
from tests.vectors.jose import b64, jwk, pem, thumbprint

# RFC 9864 renames it; PyJWT does not know the new name yet.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")

NOW = 1_800_000_000
WEEK = NOW // 604800
SECRET = "a secret that both sides know, of more than 32 bytes"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
RING = KeyRing([SECRET, pem(EC_KEY), pem(ED_KEY)], "sessionid")
ZIPPING = KeyRing([SECRET], "sessionid", compress=True)
_SECRET = Secret(SECRET, "sessionid")
RAW = {
    "A256GCM": _SECRET.derive(f"encrypt/{WEEK}"),
    "HS256": _SECRET.derive(f"sign/{WEEK}"),
}
KID = f"{WEEK}-{_SECRET.fingerprint}"
KIDS = {
    "A256GCM": KID,
    "HS256": KID,
    "ES256": thumbprint(EC_KEY.public_key()),
    "Ed25519": thumbprint(ED_KEY.public_key()),
    "EdDSA": thumbprint(ED_KEY.public_key()),
}
PEMS = {"ES256": EC_KEY, "Ed25519": ED_KEY, "EdDSA": ED_KEY}

LOGIN = Claims(
    new_sid(), NOW, NOW + 3600, NOW * 1000, sub="42", auth_time=NOW + 0.125, be="abc-_9", ah="AAEC"
)
SITE = {"issuer": "https://example.com", "audience": "app"}
CASES: dict[str, tuple[Claims, dict[str, str]]] = {
    "anonymous": (Claims(new_sid(), NOW, NOW + 3600, NOW * 1000), {}),
    "issuer and audience": (LOGIN, SITE),
    "empty data": (LOGIN._replace(d={}), {}),
    "not ASCII": (LOGIN._replace(sub="Ærø", d={"größe": "€ 漢字 🔑 \u2028"}), SITE),
    "4 KB": (LOGIN._replace(d={"x": "0123456789abcdef" * 256}), {}),
}


def header(alg: str) -> dict[str, Any]:
    names = {"alg": "dir", "enc": alg} if alg == "A256GCM" else {"alg": alg}
    return names | {"typ": "ses+jwt", "kid": KIDS[alg]}


# --- each library as a pair of functions: (token, alg) -> (header, payload), (header, payload, alg)


def joserfc_key(alg: str) -> Any:
    if alg in RAW:
        return OctKey.import_key(RAW[alg])
    return (ECKey if alg == "ES256" else OKPKey).import_key(pem(PEMS[alg]))


def joserfc_read(token: str, alg: str) -> tuple[Any, bytes]:
    if alg == "A256GCM":
        found = joserfc_jwe.decrypt_compact(token, joserfc_key(alg), algorithms=["dir", alg, "DEF"])
        assert found.plaintext is not None
        return found.protected, found.plaintext
    signed = joserfc_jws.deserialize_compact(token, joserfc_key(alg), algorithms=[alg])
    return signed.protected, signed.payload


def joserfc_write(head: Any, text: bytes, alg: str) -> str:
    if alg == "A256GCM":
        algorithms = ["dir", alg, "DEF"]
        return joserfc_jwe.encrypt_compact(head, text, joserfc_key(alg), algorithms=algorithms)
    return joserfc_jws.serialize_compact(head, text, joserfc_key(alg), algorithms=[alg])


def jwcrypto_key(alg: str) -> Any:
    if alg in RAW:
        return jwcrypto_jwk.JWK(kty="oct", k=b64(RAW[alg]))
    return jwcrypto_jwk.JWK.from_pem(pem(PEMS[alg]).encode())


def jwcrypto_read(token: str, alg: str) -> tuple[Any, bytes]:
    if alg == "A256GCM":
        sealed = jwcrypto_jwe.JWE(algs=["dir", alg])
        sealed.deserialize(token, jwcrypto_key(alg))
        return sealed.jose_header, sealed.payload
    signed = jwcrypto_jws.JWS()
    signed.allowed_algs = [alg]
    signed.deserialize(token, jwcrypto_key(alg))
    return signed.jose_header, signed.payload


def jwcrypto_write(head: Any, text: bytes, alg: str) -> str:
    if alg == "A256GCM":
        sealed = jwcrypto_jwe.JWE(text, json.dumps(head))
        sealed.add_recipient(jwcrypto_key(alg))
        return str(sealed.serialize(compact=True))
    signed = jwcrypto_jws.JWS(text)
    signed.allowed_algs = [alg]
    signed.add_signature(jwcrypto_key(alg), alg, json.dumps(head))
    return str(signed.serialize(compact=True))


def pyjwt_read(token: str, alg: str) -> tuple[Any, bytes]:
    key = RAW.get(alg) or PEMS[alg].public_key()
    found = jwt.PyJWS().decode_complete(token, key, algorithms=[alg])
    return found["header"], found["payload"]


def pyjwt_write(head: Any, text: bytes, alg: str) -> str:
    return jwt.PyJWS().encode(text, RAW.get(alg) or PEMS[alg], algorithm=alg, headers=head)


Read = Callable[[str, str], tuple[Any, bytes]]
Write = Callable[[Any, bytes, str], str]
LIBRARIES: dict[str, tuple[Read, Write]] = {
    "joserfc": (joserfc_read, joserfc_write),
    "jwcrypto": (jwcrypto_read, jwcrypto_write),
    "PyJWT": (pyjwt_read, pyjwt_write),
}
PAIRS = [
    (library, alg)
    for library in LIBRARIES
    for alg in ALGORITHMS
    if not (library == "PyJWT" and alg in ("A256GCM", "Ed25519"))  # it has neither
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("library", "alg"), PAIRS)
def test_they_read_what_we_write(library: str, alg: str, case: str) -> None:
    claims, rules = CASES[case]
    token = Codec(RING, [alg], **rules).issue(claims, NOW)
    head, text = LIBRARIES[library][0](token, alg)
    scope = {"iss": SITE["issuer"], "aud": SITE["audience"]} if rules else {}
    assert head == header(alg)
    assert json.loads(text) == payload(claims) | scope


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("library", "alg"), PAIRS)
def test_we_read_what_they_write(library: str, alg: str, case: str) -> None:
    claims, rules = CASES[case]
    scope = {"iss": SITE["issuer"], "aud": SITE["audience"]} if rules else {}
    for ascii_only in (True, False):
        # As json.dumps has it by default: with spaces, and the rest of Unicode escaped.
        text = json.dumps(payload(claims) | scope, ensure_ascii=ascii_only).encode()
        token = LIBRARIES[library][1](header(alg), text, alg)
        read = Codec(RING, [alg], **rules).read(token, NOW)
        assert read == claims._replace(iss=scope.get("iss"), aud=scope.get("aud"))


@pytest.mark.parametrize("library", ["joserfc", "jwcrypto"])
def test_compressed_both_ways(library: str) -> None:
    read, write = LIBRARIES[library]
    claims = LOGIN._replace(d={"x": "the same again; " * 50})
    head, text = read(Codec(ZIPPING).issue(claims, NOW), "A256GCM")
    assert head == header("A256GCM") | {"zip": "DEF"}
    assert json.loads(text) == payload(claims)
    token = write(head, text, "A256GCM")
    assert len(token) < 600
    assert Codec(RING).read(token, NOW) == claims


@pytest.mark.parametrize(("library", "alg"), PAIRS)
def test_they_refuse_what_was_altered(library: str, alg: str) -> None:
    parts = Codec(RING, [alg]).issue(LOGIN, NOW).split(".")
    parts[-1] = ("A" if parts[-1][0] != "A" else "B") + parts[-1][1:]
    with pytest.raises(Exception, match=r".*"):
        LIBRARIES[library][0](".".join(parts), alg)


@pytest.mark.parametrize("alg", ["HS256", "ES256", "EdDSA"])
def test_pyjwt_judges_the_claims_as_we_do(alg: str) -> None:
    token = Codec(RING, [alg], **SITE).issue(LOGIN, NOW)
    key = RAW.get(alg) or PEMS[alg].public_key()
    options: Any = {"verify_exp": False, "verify_iat": False}  # its clock is not ours

    def decode(**rules: str) -> Any:
        return jwt.decode(token, key, algorithms=[alg], options=options, **rules)

    assert decode(**SITE)["sub"] == "42"
    for wrong in ({"audience": "x"}, {"issuer": "x"}):
        with pytest.raises(jwt.InvalidTokenError):
            decode(**SITE | wrong)


@pytest.mark.parametrize(("library", "alg"), PAIRS)
@pytest.mark.requirement("ASVS 9.2.2", "RFC 8725 3.11")
def test_token_of_theirs_without_our_type_is_refused(library: str, alg: str) -> None:
    for typ in ("JWT", "at+jwt"):
        head = header(alg) | {"typ": typ}
        token = LIBRARIES[library][1](head, json.dumps(payload(LOGIN)).encode(), alg)
        with pytest.raises(BadToken, match="type"):
            Codec(RING, [alg]).read(token, NOW)


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_thumbprint_and_jwks_are_as_they_make_them(alg: str) -> None:
    public = PEMS[alg].public_key()
    theirs = jwcrypto_jwk.JWK.from_pem(pem(public).encode())
    [ours] = [key for key in RING.jwks["keys"] if key["kid"] == KIDS[alg]]
    assert ours["kid"] == theirs.thumbprint() == joserfc_key(alg).thumbprint()
    assert json.loads(theirs.export_public()).items() >= jwk(public).items()
    token = Codec(RING, [alg]).issue(LOGIN, NOW)
    found = jwt.PyJWKSet.from_dict({"keys": [dict(key) for key in RING.jwks["keys"]]})
    assert jwt.PyJWS().decode(token, found[ours["kid"]].key, algorithms=[alg])
