"""Keys of each kind, and codecs over them."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from django_jwtsession.tokens.claims import Claims
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import ALGORITHMS, KeyRing
from django_jwtsession.tokens.sid import new_sid
from tests.conftest import NOW
from tests.vectors.jose import pem

SECRET = "a secret of these tests, of more than 32 bytes"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
RING = KeyRing([SECRET, pem(EC_KEY), pem(ED_KEY)], "sessionid")


def codec(*algorithms: str, **rules: Any) -> Codec:
    """Return a codec over one key of each kind."""
    return Codec(RING, algorithms or ALGORITHMS, **rules)


def a_session(**claims: Any) -> Claims:
    """Return the claims of a session that began at NOW."""
    return Claims(new_sid(), NOW, NOW + 3600, NOW * 1000)._replace(**claims)


def a_login(**claims: Any) -> Claims:
    login = {"sub": "42", "auth_time": NOW + 0.125, "be": "abc-_9", "ah": "AAECAw"}
    return a_session(**(login | claims))


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
