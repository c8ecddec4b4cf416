"""The token profile as the Next.js example reads it, with no Django to ask.

Builds the site with npm, so it only runs where INTEROP is set (`make test-interop`).
"""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from django_jwtsession.tokens import base64url
from django_jwtsession.tokens.claims import Claims, payload
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import WEEK, Key, KeyRing, Secret
from django_jwtsession.tokens.sid import new_sid
from example_project.nextjs import demo

from .nextjs_client import COOKIE, SECRET, Browser, assert_greets, assert_refused

if not os.environ.get("INTEROP"):
    pytest.skip("set INTEROP=1: it builds a Next.js site", allow_module_level=True)

OLD_SECRET = "the-one-that-it-replaced-in-more-than-32-bytes"


def codec(key: str = SECRET, algorithm: str = "A256GCM") -> Codec:
    return Codec(KeyRing([key], COOKIE), [algorithm])


def a_login(**other: Any) -> Claims:
    """Return the claims of user 7's session of the cookie engine, a minute old."""
    now = int(time.time())
    claims = Claims(
        new_sid(), now - 60, now + 3600, 1000 * now - 60_000, sub="7", auth_time=now - 60
    )
    return claims._replace(**other)


def issue(key: str = SECRET, algorithm: str = "A256GCM", **other: Any) -> str:
    return codec(key, algorithm).issue(a_login(**other), time.time())


def pem(key: Any) -> str:
    text: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return text.decode()


class _Jwks(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


PRIVATE_KEYS = {
    "ES256": pem(ec.generate_private_key(ec.SECP256R1())),
    "Ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    "EdDSA": pem(ed25519.Ed25519PrivateKey.generate()),
}


@pytest.fixture(scope="module")
def nextjs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Next.js alone, which takes every algorithm and has no Django to ask."""
    _Jwks.body = json.dumps(KeyRing([*PRIVATE_KEYS.values()], COOKIE).jwks).encode()
    jwks = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Jwks)
    threading.Thread(target=jwks.serve_forever, daemon=True).start()
    env = {
        "SESSION_SECRET": SECRET,
        "SESSION_SECRET_FALLBACKS": f"another-one-that-nothing-uses-any-more,{OLD_SECRET}",
        "SESSION_ALGORITHMS": "A256GCM,HS256,ES256,Ed25519",
        "SESSION_JWKS_URL": f"http://127.0.0.1:{jwks.server_port}/jwks.json",
        "DJANGO_URL": f"http://127.0.0.1:{demo.free_port()}",
    }
    demo.build()
    log = tmp_path_factory.mktemp("nextjs") / "log"
    with log.open("wb") as output, demo.Servers(output) as servers:
        yield servers.next(demo.free_port(), env)
    jwks.shutdown()
    jwks.server_close()


# --- the token profile, read by Next.js alone ----------------------------------------------------


@pytest.mark.parametrize("algorithm", ["A256GCM", "HS256", "ES256", "Ed25519", "EdDSA"])
def test_nextjs_reads_every_algorithm(nextjs: str, algorithm: str) -> None:
    token = issue(PRIVATE_KEYS.get(algorithm, SECRET), algorithm, d={"name": "Zoë 🚀"})

    assert_greets(Browser(nextjs, token).get("/dashboard"), "7")


def test_nextjs_reads_a_compressed_token(nextjs: str) -> None:
    compressing = Codec(KeyRing([SECRET], COOKIE, compress=True))
    token = compressing.issue(a_login(d={"a": "b" * 3000}), time.time())

    assert_greets(Browser(nextjs, token).get("/dashboard"), "7")


def test_nextjs_reads_tokens_of_an_older_secret_and_an_older_week(nextjs: str) -> None:
    three_weeks_ago = time.time() - 3 * WEEK
    old = codec(OLD_SECRET).issue(a_login(iat=int(three_weeks_ago), exp=2**32), three_weeks_ago)

    assert_greets(Browser(nextjs, old).get("/dashboard"), "7")


def test_nextjs_alone_trusts_a_copy_until_rv(nextjs: str) -> None:
    now = int(time.time())

    assert_greets(Browser(nextjs, issue(rv=now + 30)).get("/dashboard"), "7")
    page = Browser(nextjs, issue(rv=now - 1)).get("/dashboard")
    assert page.status == 503, "Django cannot be asked: neither a yes nor a no"
    assert page.headers["Retry-After"]


@pytest.mark.parametrize("claims", [{"big": 1}, {"sub": None, "auth_time": None}])
def test_what_the_token_does_not_hold_only_django_knows(nextjs: str, claims: Any) -> None:
    assert Browser(nextjs, issue(**claims)).get("/dashboard").status == 503


def test_nextjs_sends_back_to_the_page_that_was_asked_for(nextjs: str) -> None:
    page = Browser(nextjs).get("/dashboard/a?b=c&d=e")

    assert page.location == "/login?next=%2Fdashboard%2Fa%3Fb%3Dc%26d%3De"


def test_a_header_of_the_visitor_cannot_skip_the_guard(nextjs: str) -> None:
    skip = {"x-middleware-subrequest": "proxy:proxy:proxy:proxy:proxy"}

    assert_refused(Browser(nextjs).get("/dashboard", skip))


def segment(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return base64url.encode(text.encode()).decode()


def headed(algorithm: str, change: dict[str, Any] | str) -> str:
    """Return an authentic token under another header: a text, or members (None takes one away)."""
    key: Any = KeyRing([SECRET], COOKIE).newest(algorithm, time.time())
    if isinstance(change, dict):
        members = json.loads(base64url.decode(key.header)) | change
        change = json.dumps({k: v for k, v in members.items() if v is not None})
        change = change.replace('": ', '":').replace(', "', ',"')
    key.header = base64url.encode(change.encode())
    return sealed(key)


def sealed(key: Key) -> str:
    return key.seal(json.dumps(payload(a_login())).encode()).decode()


def signed_with_the_public_key() -> str:
    """Return a token that takes the public key for the secret of an HMAC."""
    ring = KeyRing([PRIVATE_KEYS["ES256"]], COOKIE)
    private = serialization.load_pem_private_key(PRIVATE_KEYS["ES256"].encode(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = segment({"alg": "HS256", "typ": "ses+jwt", "kid": ring.jwks["keys"][0]["kid"]})
    message = f"{head}.{segment(payload(a_login()))}"
    mac = hmac.digest(public, message.encode(), hashlib.sha256)
    return f"{message}.{base64url.encode(mac).decode()}"


def bad_claims() -> dict[str, Claims]:
    now = int(time.time())
    login = a_login()
    return {
        "expired": login._replace(iat=now - 7200, exp=now - 20),
        "of the future": login._replace(iat=now + 60),
        "not yet": login._replace(nbf=now + 60),
        "ends before it begins": login._replace(iat=now, exp=now - 1),
        "for an audience": login._replace(aud="shop"),
        "of an issuer": login._replace(iss="shop"),
        "no epoch": login._replace(ep=None),  # type: ignore[arg-type]
        "epoch with a fraction": login._replace(ep=1.5),  # type: ignore[arg-type]
        "proof without a login": login._replace(sub=None, auth_time=None, pt=now),
        "key part too short": login._replace(sk="A" * 17),
        "text for the longest end": login._replace(mx="soon"),  # type: ignore[arg-type]
        "sid of another form": login._replace(sid="x"),
        "sub without a login": login._replace(auth_time=None),
        "time as text": login._replace(rv="soon"),  # type: ignore[arg-type]
        "number as sub": login._replace(sub=7),  # type: ignore[arg-type]
        "list as data": login._replace(d=[]),  # type: ignore[arg-type]
    }


def bad_headers() -> dict[str, str]:
    secret, week = Secret(SECRET, COOKIE), int(time.time()) // WEEK
    kid = f"{week}-{secret.fingerprint}"
    text = f'{{"alg":"dir","enc":"A256GCM","typ":"ses+jwt","kid":"{kid}"}}'
    assert headed("A256GCM", text).startswith(issue().split(".")[0]), "the form of a good one"
    return {
        "typ": headed("HS256", {"typ": "JWT"}),
        "no typ": headed("A256GCM", {"typ": None}),
        "no kid": headed("HS256", {"kid": None}),
        "kid of a number": headed("HS256", {"kid": 7}),
        "key of the first week": sealed(secret.key("A256GCM", 1, compress=False)),
        "key of the last year but one": sealed(secret.key("HS256", week - 60, compress=False)),
        "key of the week after next": sealed(secret.key("A256GCM", week + 2, compress=False)),
        "long kid": headed("A256GCM", {"kid": "9" * 3000}),
        "crit": headed("HS256", {"crit": ["exp"], "exp": 1}),
        "jku": headed("A256GCM", {"jku": "http://127.0.0.1/jwks.json"}),
        "b64": headed("HS256", {"b64": True}),
        "zip of a signed token": headed("HS256", {"zip": "DEF"}),
        "alg none": headed("HS256", {"alg": "none"}),
        "alg in another spelling": headed("HS256", {"alg": "hs256"}),
        "A256GCM as key wrap": headed("A256GCM", {"alg": "A256GCM"}),
        "another enc": headed("A256GCM", {"enc": "A128GCM"}),
        "duplicate name": headed("A256GCM", text.replace("{", '{"alg":"none",')),
        "no object": headed("A256GCM", "[]"),
        "no JSON": headed("A256GCM", text[:-1]),
    }


def bad_texts() -> dict[str, str]:
    good = issue()
    head, _, *rest = good.split(".")
    last = chr(ord(good[-1]) + 1)
    return {
        "a word": "hello",
        "dots alone": "....",
        "percent": "%E0%A4%A",
        "truncated": good[:-1],
        "trailing bits": good[:-1] + last,
        "padding": good + "==",
        "a sixth part": f"{good}.",
        "an encrypted key": ".".join([head, "AAAA", *rest]),
        "too long": issue(d={"a": "b" * 8192}),
        "unsigned": issue(algorithm="HS256").rpartition(".")[0] + ".",
        "another secret": issue("nobody-knows-this-secret-of-more-than-32-bytes"),
        "another cookie": Codec(KeyRing([SECRET], "csrftoken")).issue(a_login(), time.time()),
        "an unknown public key": issue(pem(ed25519.Ed25519PrivateKey.generate()), "EdDSA"),
        "a public key as secret": signed_with_the_public_key(),
    }


@pytest.mark.parametrize("name", bad_claims())
def test_bad_claims_are_nobody(nextjs: str, name: str) -> None:
    for algorithm in ("A256GCM", "HS256"):
        token = codec(SECRET, algorithm).issue(bad_claims()[name], time.time())
        assert_refused(Browser(nextjs, token).get("/dashboard"))


@pytest.mark.parametrize("name", bad_headers())
def test_bad_header_is_nobody(nextjs: str, name: str) -> None:
    assert_refused(Browser(nextjs, bad_headers()[name]).get("/dashboard"))


@pytest.mark.parametrize("name", bad_texts())
def test_bad_text_is_nobody(nextjs: str, name: str) -> None:
    assert_refused(Browser(nextjs, bad_texts()[name]).get("/dashboard"))
