"""Tokens that every reader of the profile must take, with what they say."""

from __future__ import annotations

from typing import Any

from .jose import b64, compact, deflate, jwk, kid_of, subkey, thumbprint
from .site import (
    ANONYMOUS,
    EC_KEY,
    ED_KEY,
    LOGIN,
    NOW,
    OLD_SECRET,
    SALT,
    SECRET,
    SID,
    WEEK,
    seal,
    settings,
)


def payloads() -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Return payloads by name, each with the issuer and audience that a reader must expect."""
    scoped = {"iss": "https://example.com", "aud": "example-app"}
    return {
        "anonymous": (ANONYMOUS, {}),
        "login": (LOGIN, {}),
        "issuer and audience": (LOGIN | scoped, scoped),
        "audience in a list": (LOGIN | {"aud": ["other", "example-app"]}, {"aud": "example-app"}),
        "not ASCII": (
            LOGIN | {"sub": "Ærøskøbing", "d": {"größe": "€ 漢字 🔑 \u2028", "": ""}},
            {},
        ),
        "empty data": (LOGIN | {"d": {}}, {}),
        "data of every type": (
            LOGIN | {"d": {"a": [1, -2.5, True, None, "", {}, [], {"b": [{"c": 1e-7}]}]}},
            {},
        ),
        "data as text": (LOGIN | {"d": b64(b"\x80\x05}.")}, {}),
        "4 KB of data": (LOGIN | {"d": {"x": "0123456789abcdef" * 256}}, {}),
        "a copy of a row": (LOGIN | {"rv": NOW + 60, "gen": 3, "ver": 17, "d": {"x": 1}}, {}),
        "a copy left out": (LOGIN | {"rv": NOW + 60, "gen": 0, "ver": 2**53 - 1, "big": 1}, {}),
        "a proof after the login": (ANONYMOUS | _login(pt=NOW - 50.5), {}),
        "a login without proof": (ANONYMOUS | _login(pt=0), {}),
        "an older token ends later": (LOGIN | {"mx": NOW + 1209600, "d": {"x": 1}}, {}),
        "not before": (LOGIN | {"nbf": NOW - 100}, {}),
        "a claim of others": (LOGIN | {"jti": "1", "https://example.com/x": [1]}, {}),
    }


def _login(**proof: float) -> dict[str, Any]:
    """Return the claims of a login, the proof where the issuer puts it."""
    names = ("sub", "auth_time", *proof, "be", "ah")
    return {name: (LOGIN | proof)[name] for name in names}


def profile() -> dict[str, Any]:
    tokens = []
    for alg in ("A256GCM", "HS256", "ES256", "Ed25519", "EdDSA"):
        for name, (claims, expect) in payloads().items():
            tokens.append(
                {"name": name, "alg": alg, "claims": claims, "token": seal(alg, compact(claims))}
                | expect
            )
    key = {"sk": SID[:18]}
    for name, claims in (
        ("the name of a row", ANONYMOUS | key),
        ("a copy of a row, with its key", LOGIN | key | {"rv": NOW + 60, "gen": 0, "ver": 1}),
    ):
        token = seal("A256GCM", compact(claims))
        tokens.append({"name": name, "alg": "A256GCM", "claims": claims, "token": token})
    claims = LOGIN | {"d": {"x": "the same again; " * 40}}
    zipped = seal("A256GCM", deflate(compact(claims)), zip="DEF")
    tokens.append({"name": "compressed", "alg": "A256GCM", "claims": claims, "token": zipped})
    for alg in ("A256GCM", "HS256"):
        token = seal(alg, compact(LOGIN), WEEK - 1, secret=OLD_SECRET)
        tokens.append(
            {"name": "an older key, last week", "alg": alg, "claims": LOGIN, "token": token}
        )
    return {
        **settings(),
        "derived": [
            {
                "secret": secret,
                "week": week,
                "kid": kid_of(secret, SALT, week),
                "encrypt": subkey(secret, SALT, f"encrypt/{week}").hex(),
                "sign": subkey(secret, SALT, f"sign/{week}").hex(),
            }
            for secret in (SECRET, OLD_SECRET)
            for week in (WEEK, WEEK - 1, 0)
        ],
        "jwks": {
            "keys": [
                jwk(key.public_key()) | {"use": "sig"} | alg | {"kid": thumbprint(key.public_key())}
                for alg, key in (({"alg": "ES256"}, EC_KEY), ({}, ED_KEY))
            ]
        },
        "tokens": tokens,
    }
