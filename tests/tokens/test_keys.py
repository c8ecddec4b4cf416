"""The key ring: what is a key, what finds it, and what never shows it."""

from __future__ import annotations

import base64
import json
import traceback
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519

from django_jwtsession.exceptions import BadKey, BadToken, Reason
from django_jwtsession.tokens import keys
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import ALGORITHMS, ED25519, WEEK, KeyRing, Secret, read_pem
from tests.conftest import NOW
from tests.vectors.jose import jwk, pem, thumbprint

from .conftest import EC_KEY, ED_KEY, RING, SECRET, a_session, codec

PUBLIC = {
    "ES256": pem(EC_KEY.public_key()),
    "EdDSA": pem(ED_KEY.public_key()),
}
PRIVATE = {"ES256": pem(EC_KEY), "EdDSA": pem(ED_KEY)}


def ring(*sources: Any, **more: Any) -> KeyRing:
    return KeyRing(sources, "sessionid", **more)


def kid_of(secret: Any, salt: str = "sessionid") -> str:
    key = KeyRing([secret], salt).newest("HS256", NOW)
    assert key is not None
    return key.kid


# --- secrets -------------------------------------------------------------------------------------


def test_text_and_bytes_of_a_secret_are_the_same_key() -> None:
    assert kid_of("Schlüssel") == kid_of("Schlüssel".encode())
    assert kid_of("a") != kid_of("b")
    assert kid_of("a", "one") != kid_of("a", "other")


@pytest.mark.requirement("RFC 8725 3.12")
def test_uses_weeks_and_secrets_have_keys_of_their_own() -> None:
    derived = {
        Secret(secret, salt).derive(name)
        for secret in ("a", "b")
        for salt in ("x", "y")
        for name in ("encrypt/1", "encrypt/2", "sign/1", "sign/2", "kid")
    }
    assert len(derived) == 20


@pytest.mark.parametrize("alg", ["A256GCM", "HS256"])
@pytest.mark.parametrize(
    ("weeks", "found"), [(0, True), (1, True), (2, False), (-58, True), (-59, False), (-99, False)]
)
def test_key_of_a_far_week_is_not_found(alg: str, weeks: int, found: bool) -> None:
    week, _, mark = kid_of(SECRET).partition("-")
    assert (RING.find(alg, f"{int(week) + weeks}-{mark}", NOW) is not None) is found


def test_longer_sessions_have_older_keys() -> None:
    long = ring(SECRET, max_age=3 * 365 * 86400)
    week, _, mark = kid_of(SECRET).partition("-")
    assert long.find("HS256", f"{int(week) - 150}-{mark}", NOW) is not None
    assert long.find("HS256", f"{int(week) - 160}-{mark}", NOW) is None


@pytest.mark.requirement("ASVS 9.1.3", "RFC 8725 3.10")
def test_nothing_is_derived_for_an_unknown_secret_or_a_far_week() -> None:
    own = ring(SECRET)
    week, _, mark = kid_of(SECRET).partition("-")
    with mock.patch.object(keys.Secret, "derive") as derive:
        for number in range(2000):
            assert own.find("A256GCM", f"{week}-{number:06}", NOW) is None
            assert own.find("A256GCM", f"{int(week) + 2 + number}-{mark}", NOW) is None
    assert not derive.called
    assert not own._subkeys


def test_subkeys_that_are_kept_are_bounded() -> None:
    own = ring(SECRET, "another")
    for secret in (SECRET, "another"):
        mark = kid_of(secret).partition("-")[2]
        for week in range(5000):
            for alg in ALGORITHMS:
                own.find(alg, f"{week}-{mark}", NOW)
    assert len(own._subkeys) == 2 * 2 * 60


def test_same_secret_twice_is_one_key() -> None:
    assert len(ring("a", b"a", "a")._secrets) == 1


def test_two_secrets_of_one_fingerprint_are_refused() -> None:
    """Found by trying 500,000: the tokens of the second would be taken for the first's."""
    one, other = (f"collision-{n}-of-a-long-enough-secret" for n in (301765, 500163))
    assert Secret(one, "sessionid").fingerprint == Secret(other, "sessionid").fingerprint
    with pytest.raises(BadKey, match=r"^key 2: it has the fingerprint of another secret"):
        ring(one, other)
    assert ring(one, one.encode())
    assert KeyRing([one, other], "another_cookie")


def test_token_of_one_place_opens_nothing_in_another() -> None:
    places = [Codec(ring(SECRET, place=place)) for place in ("", "tenant_a", "tenant_b")]
    for codec_of in places:
        token = codec_of.issue(a_session(), NOW)
        for other in places:
            if other is codec_of:
                assert other.read(token, NOW)
            else:
                with pytest.raises(BadToken, match="unknown_key"):
                    other.read(token, NOW)


def test_without_a_place_the_salt_is_the_name_of_the_cookie() -> None:
    assert keys.salt_of("sessionid") == "sessionid"
    assert keys.salt_of("sessionid", "tenant_a") == "sessionid/tenant_a"


# --- PEM keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_public_key_verifies_and_never_issues(alg: str) -> None:
    reader = ring(SECRET, PUBLIC[alg])
    token = codec(alg).issue(a_session(), NOW)
    assert Codec(reader, ["A256GCM", alg]).read(token, NOW)
    assert reader.newest(alg, NOW) is None
    with pytest.raises(BadKey, match="none of the keys can issue"):
        Codec(reader, [alg])


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
@pytest.mark.parametrize("order", [1, -1])
def test_public_and_private_half_of_one_key_are_one_key(alg: str, order: int) -> None:
    own = ring(*[PUBLIC[alg], PRIVATE[alg]][::order])
    assert Codec(own, [alg]).issue(a_session(), NOW)
    assert len(own.jwks["keys"]) == 1


def test_first_of_two_private_keys_issues_and_both_are_read() -> None:
    new = ec.generate_private_key(ec.SECP256R1())
    own = ring(pem(new), PRIVATE["ES256"])
    key = own.newest("ES256", NOW)
    assert key is not None
    assert key.kid == thumbprint(new.public_key())
    assert Codec(own, ["ES256"]).read(codec("ES256").issue(a_session(), NOW), NOW)


def test_jwks_holds_public_members_only() -> None:
    assert ring(SECRET, *PRIVATE.values()).jwks == {
        "keys": [
            jwk(EC_KEY.public_key())
            | {"use": "sig", "alg": "ES256", "kid": thumbprint(EC_KEY.public_key())},
            jwk(ED_KEY.public_key()) | {"use": "sig", "kid": thumbprint(ED_KEY.public_key())},
        ]
    }
    assert ring(SECRET).jwks == {"keys": []}


@pytest.mark.parametrize("size", [31, 32])
def test_coordinates_have_their_leading_zeros(size: int) -> None:
    """About one key in 128 has a coordinate of less than 32 bytes."""
    for number in range(1, 2000):
        public = ec.derive_private_key(number, ec.SECP256R1()).public_key()
        if (public.public_numbers().x.bit_length() + 7) // 8 == size:
            break
    assert len(ring(pem(public)).jwks["keys"][0]["x"]) == 43


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_pem_is_given_as_text_bytes_or_path(alg: str, tmp_path: Path) -> None:
    path = tmp_path / "session.pem"
    path.write_text(PRIVATE[alg])
    other = tmp_path / "session.key"
    other.write_text(PRIVATE[alg])
    sources = [PRIVATE[alg], PRIVATE[alg].encode(), path, str(path), other, "\n  " + PRIVATE[alg]]
    kids = {key["kid"] for source in sources for key in ring(source).jwks["keys"]}
    assert len(kids) == 1


def test_pem_with_other_blocks_and_words_around_is_no_secret() -> None:
    for text in (
        "Bag Attributes\n    friendlyName: session\n" + PRIVATE["ES256"],
        "\ufeff" + PRIVATE["EdDSA"],
        PUBLIC["ES256"] + PRIVATE["ES256"],
        PRIVATE["ES256"].replace("\n", "\\n"),
        "-----BEGIN RSA PUBLIC KEY-----",
        "x-----BEGIN CERTIFICATE-----",
    ):
        try:
            assert not ring(text)._secrets
        except BadKey:
            continue


def wrong_keys(folder: Path) -> dict[str, Any]:
    """Return sources that are no key of ours, by name."""
    encrypted = EC_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    traditional = EC_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"password"),
    )
    public = EC_KEY.public_key()
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    ssh = ED_KEY.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    ssh_ecdsa = public.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    ssh_private = ED_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    named = folder / "session.key"
    named.write_text(PRIVATE["ES256"])
    (folder / "empty.pem").write_text("")
    return {
        "encrypted": encrypted,
        "encrypted as OpenSSL did": traditional,
        "RSA": pem(rsa.generate_private_key(65537, 2048)),
        "RSA, public": pem(rsa.generate_private_key(65537, 2048).public_key()),
        "DSA": pem(dsa.generate_private_key(1024)),
        "P-384": pem(ec.generate_private_key(ec.SECP384R1())),
        "secp256k1": pem(ec.generate_private_key(ec.SECP256K1())),
        "Ed448": pem(ed448.Ed448PrivateKey.generate()),
        "X25519": pem(x25519.X25519PrivateKey.generate()),
        "cut": PRIVATE["EdDSA"][:60],
        "no end": PRIVATE["EdDSA"].replace("-----END", "-----"),
        "altered": PRIVATE["ES256"].replace("M", "N"),
        "OpenSSH": ssh_private,
        "OpenSSH, public": ssh.decode(),
        "OpenSSH, public, ECDSA": ssh_ecdsa.decode(),
        "JWK": '{"kty":"oct","k":"AAAA"}',
        "DER, public": der,
        "DER, public, base64": base64.b64encode(der).decode(),
        "DER, public, base64 in lines": base64.encodebytes(der).decode(),
        "PEM without its lines": "".join(PUBLIC["EdDSA"].splitlines()[1:-1]),
        "no file": str(folder / "missing.pem"),
        "no path": "\0.pem",
        "a folder": folder,
        "an empty file": folder / "empty.pem",
        "a file of another name": str(named),
        "empty": "",
        "empty bytes": b"",
        "no UTF-8": "secret-\udcff",
    }


def test_what_is_no_key_of_ours_is_refused_without_a_word_of_it(tmp_path: Path) -> None:
    for name, source in wrong_keys(tmp_path).items():
        with pytest.raises(BadKey) as refused:
            ring(SECRET, source)
        said = "".join(traceback.format_exception(refused.value))
        assert str(refused.value).startswith("key 2: it"), name
        # No line of the key, whatever kind; names of files may be told.
        if not isinstance(source, Path) and "file" not in name:
            text = source.decode("latin-1") if isinstance(source, bytes) else source
            for part in (text[i : i + 12] for i in range(0, len(text) - 12, 6)):
                assert part not in said, name


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_header_says_no_more_than_it_must(alg: str) -> None:
    own = ring(SECRET, *PRIVATE.values())
    key = own.newest(alg, NOW)
    assert key is not None
    head = json.loads(base64.urlsafe_b64decode(key.prefix + "=="))
    named = {"alg": "dir", "enc": alg} if alg == "A256GCM" else {"alg": alg}
    assert head == named | {"typ": "ses+jwt", "kid": key.kid}
    assert own.find(alg, key.kid, NOW) is key


def test_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match=r"cannot be read \(No such file or directory\)$"):
        read_pem(tmp_path / "missing.pem")
    with pytest.raises(BadKey, match=r"cannot be read \(no path\)$"):
        read_pem("\0.pem")


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_type_of_the_ring_is_that_of_every_key(alg: str) -> None:
    own = ring(SECRET, *PRIVATE.values(), typ="dbsc+jwt")
    token = Codec(own, [alg]).issue(a_session(), NOW)
    head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert head["typ"] == "dbsc+jwt"
    for reader, other in (
        (codec(alg), token),
        (Codec(own, [alg]), codec(alg).issue(a_session(), NOW)),
    ):
        with pytest.raises(BadToken) as refused:
            reader.read(other, NOW)
        assert refused.value.reason == Reason.TYPE


def test_keys_do_not_show_in_representations() -> None:
    secret = "sécret-" * 6
    own = ring(secret, *PRIVATE.values())
    one = Codec(own, list(ALGORITHMS))
    raw = Secret(secret, "sessionid").derive(f"sign/{NOW // WEEK}")
    objects = [own, one, *own._secrets.values(), *own._pem.values(), one.issuing_key(NOW)]
    objects += [own.newest(alg, NOW) for alg in ALGORITHMS]
    shown = " ".join(f"{thing!r} {thing}" for thing in objects)
    assert secret not in shown
    assert repr(raw)[2:20] not in shown
    assert "PRIVATE" not in shown


def test_secret_is_told_from_pem() -> None:
    assert read_pem("just a secret") is None
    assert read_pem(b"\x30\x82 any bytes at all") is None
    assert read_pem(base64.b64encode(bytes(range(32))).decode()) is None
    assert read_pem('{"a secret": "that begins as JSON does"}') is None
    assert read_pem('a secret with "kty" in it') is None
    assert read_pem("/1Ab+base64/that/begins/like/a/path=") is None
    assert read_pem(PRIVATE["EdDSA"]) == PRIVATE["EdDSA"].encode()


@pytest.mark.parametrize("listed", ED25519)
def test_ed25519_has_two_names_of_which_the_listed_one_is_issued(listed: str) -> None:
    """`Ed25519` (RFC 9864) and `EdDSA` (RFC 8037); a JWK that said one would deny the other."""
    own = ring(PRIVATE["EdDSA"])
    one = Codec(own, [listed])
    for issued in ED25519:
        token = Codec(own, [issued]).issue(a_session(), NOW)
        head = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
        assert head["alg"] == issued
        assert one.read(token, NOW)
        assert one.is_current(token, NOW) is (issued == listed)
    assert "alg" not in own.jwks["keys"][0]


@pytest.mark.requirement("RFC 8725 3.2")
def test_es256_signature_draws_no_random_number() -> None:
    """RFC 6979: one that is drawn badly, once, tells the private key."""
    one = Codec(ring(PRIVATE["ES256"]), ["ES256"])
    session = a_session()
    assert len({one.issue(session, NOW) for _ in range(20)}) == 1


def test_without_openssl_3_2_es256_signs_as_ever() -> None:
    real = ec.ECDSA

    def ecdsa(algorithm: Any, deterministic_signing: bool = False) -> Any:
        if deterministic_signing:
            raise UnsupportedAlgorithm("no RFC 6979")
        return real(algorithm)

    with mock.patch.object(ec, "ECDSA", ecdsa):
        older = Codec(ring(PRIVATE["ES256"]), ["ES256"])
    assert codec("ES256").read(older.issue(a_session(), NOW), NOW)


def test_es256_signature_is_64_raw_bytes() -> None:
    for _ in range(50):
        token = codec("ES256").issue(a_session(), NOW)
        assert len(token.split(".")[2]) == 86


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.requirement("ASVS 9.1.2", "RFC 8725 3.1")
def test_key_is_for_one_algorithm_alone(alg: str) -> None:
    key = RING.newest(alg, NOW)
    assert key is not None
    for other in ALGORITHMS:
        found = RING.find(other, key.kid, NOW)
        if other == alg:
            assert found is key
        elif {alg, other} == set(ED25519):
            assert found is not None  # another name of the same
        elif {alg, other} == {"A256GCM", "HS256"}:
            assert found is not key  # the same secret, another subkey
        else:
            assert found is None


def test_token_of_a_dropped_key_is_refused_as_unknown() -> None:
    token = Codec(ring("old"), ["HS256"]).issue(a_session(), NOW)
    with pytest.raises(BadToken, match="unknown_key"):
        Codec(ring("new"), ["HS256"]).read(token, NOW)
