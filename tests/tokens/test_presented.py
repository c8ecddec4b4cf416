"""What a device's key has signed: the one form that is taken, and everything beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from django_jwtsession.exceptions import BadToken, Reason
from django_jwtsession.tokens.presented import Presented, public_jwk, thumbprint
from tests.vectors import jose

from .conftest import EC_KEY, ED_KEY

JWK = jose.jwk(EC_KEY.public_key())
TYP = "dbsc+jwt"
HEAD = {"alg": "ES256", "typ": TYP}
PAYLOAD = {"jti": "challenge"}
OURS = ("https://a.example", "https://a.example/start")


def signed(head: Any, payload: Any = PAYLOAD, key: ec.EllipticCurvePrivateKey = EC_KEY) -> str:
    return jose.es256(jose.b64(jose.compact(head)), jose.compact(payload), key)


def refusal(text: str, with_key: bool = False) -> Reason:
    with pytest.raises(BadToken) as refused:
        Presented(text, TYP, with_key)
    return refused.value.reason


def jwk_refusal(jwk: Any) -> Reason:
    with pytest.raises(BadToken) as refused:
        public_jwk(jwk)
    return refused.value.reason


@pytest.mark.parametrize("form", ["{}", '"{}"', ' "{}" ', "  {}\n"])
def test_signature_of_the_key_at_hand_is_verified(form: str) -> None:
    shown = Presented(form.format(signed(HEAD)), TYP, with_key=False)
    assert shown.payload == PAYLOAD
    assert shown.jwk == {}
    shown.verify(JWK)


def test_key_in_the_header_comes_with_its_bare_members() -> None:
    more = JWK | {"kid": "mine", "use": "sig"}
    shown = Presented(signed(HEAD | {"jwk": more}), TYP, with_key=True)
    assert shown.jwk == JWK
    assert shown.payload == PAYLOAD
    shown.verify(shown.jwk)


def test_signature_of_another_key_or_over_another_text_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    header, _, signature = signed(HEAD).split(".")
    swapped = f"{header}.{jose.b64(jose.compact({'jti': 'another'}))}.{signature}"
    for text in (signed(HEAD, key=other), swapped):
        with pytest.raises(BadToken) as refused:
            Presented(text, TYP, with_key=False).verify(JWK)
        assert refused.value.reason == Reason.SIGNATURE


def test_point_that_is_not_on_the_curve_is_refused() -> None:
    with pytest.raises(BadToken) as refused:
        Presented(signed(HEAD), TYP, with_key=False).verify(JWK | {"y": JWK["x"]})
    assert refused.value.reason == Reason.MALFORMED


@pytest.mark.parametrize(
    "head",
    [
        HEAD | {"alg": "none"},
        HEAD | {"alg": "HS256"},
        HEAD | {"alg": "es256"},
        HEAD | {"typ": "ses+jwt"},
        HEAD | {"kid": "mine"},
        HEAD | {"crit": ["exp"]},
        {"alg": "ES256"},
        {"typ": TYP},
    ],
    ids=str,
)
@pytest.mark.parametrize("with_key", [False, True])
def test_header_of_another_form_is_refused(head: dict[str, Any], with_key: bool) -> None:
    more = {"jwk": JWK} if with_key else {}
    assert refusal(signed(head | more), with_key) == Reason.HEADER


def test_key_is_there_just_where_it_is_asked_for() -> None:
    assert refusal(signed(HEAD | {"jwk": JWK})) == Reason.HEADER
    assert refusal(signed(HEAD), with_key=True) == Reason.ALGORITHM


@pytest.mark.parametrize("size", [0, 63, 65])
def test_signature_has_64_bytes(size: int) -> None:
    message = signed(HEAD).rpartition(".")[0]
    assert refusal(f"{message}.{jose.b64(bytes(size))}") == Reason.HEADER


@pytest.mark.parametrize("aud", OURS)
def test_audience_that_is_named_is_one_of_ours(aud: str) -> None:
    payload = PAYLOAD | {"aud": aud}
    shown = Presented(signed(HEAD, payload), TYP, with_key=False, audience=OURS)
    assert shown.payload == payload


@pytest.mark.parametrize("aud", ["https://b.example", [*OURS], {}, "", None], ids=str)
def test_other_audience_is_refused(aud: Any) -> None:
    with pytest.raises(BadToken) as refused:
        Presented(signed(HEAD, PAYLOAD | {"aud": aud}), TYP, with_key=False, audience=OURS)
    assert refused.value.reason == Reason.AUDIENCE


@pytest.mark.parametrize(
    "text",
    [
        "",
        '""',
        "a.b",
        signed(HEAD) + ".",
        signed(HEAD).partition(".")[2],
        signed(HEAD).replace(".", "..", 1),
        signed(HEAD) + "é",
        signed([]),
        signed(HEAD, []),
        f'""{signed(HEAD)}""',
    ],
    ids=range(10),
)
def test_what_is_no_jws_is_malformed(text: str) -> None:
    assert refusal(text) == Reason.MALFORMED


def test_limit_of_length() -> None:
    """4096 characters are read; of more, nothing is looked at."""
    sizes = {}
    for size in range(2890, 2990):
        text = signed(HEAD, {"jti": "y" * size})
        sizes[len(text)] = text
    longest = max(length for length in sizes if length <= 4096)
    assert longest > 4096 - 3
    assert Presented(sizes[longest], TYP, with_key=False).payload["jti"]
    assert refusal(sizes[min(length for length in sizes if length > 4096)]) == Reason.MALFORMED


@pytest.mark.parametrize(
    ("jwk", "reason"),
    [
        (None, Reason.ALGORITHM),
        ("EC", Reason.ALGORITHM),
        ([], Reason.ALGORITHM),
        ({}, Reason.ALGORITHM),
        (JWK | {"kty": "OKP"}, Reason.ALGORITHM),
        (JWK | {"crv": "P-384"}, Reason.ALGORITHM),
        (jose.jwk(ED_KEY.public_key()), Reason.ALGORITHM),
        (JWK | {"x": JWK["x"][:-1]}, Reason.MALFORMED),
        (JWK | {"x": JWK["x"] + "A"}, Reason.MALFORMED),
        (JWK | {"y": JWK["y"][:-1]}, Reason.MALFORMED),
        (JWK | {"y": None}, Reason.MALFORMED),
        (JWK | {"x": [1] * 43}, Reason.MALFORMED),
        ({"kty": "EC", "crv": "P-256", "x": JWK["x"]}, Reason.MALFORMED),
        ({"kty": "EC", "crv": "P-256", "y": JWK["y"]}, Reason.MALFORMED),
    ],
    ids=range(14),
)
def test_key_is_one_on_p_256_or_none(jwk: Any, reason: Reason) -> None:
    assert jwk_refusal(jwk) == reason


def test_private_member_of_a_key_goes_nowhere() -> None:
    assert public_jwk(JWK | {"d": "secret"}) == JWK
    assert json.dumps(public_jwk(dict(reversed(JWK.items())))) == json.dumps(JWK)


def test_thumbprint_is_that_of_rfc_7638() -> None:
    assert thumbprint(JWK) == jose.thumbprint(EC_KEY.public_key())
