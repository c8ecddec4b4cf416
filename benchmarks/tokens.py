"""Reading and issuing tokens beside PyJWT, joserfc, jwcrypto and Django's signing.

``python -m benchmarks.tokens [ROUNDS]``. All take turns in short bursts within one process, so that
a busy machine slows all of them; each ratio is between the fastest bursts of two. Exits with 1
where a goal is missed by more than machines differ: the goals are for the auth keys, the session
that most requests bring.
"""

from __future__ import annotations

import gc
import json
import random
import secrets
import sys
import time
from collections.abc import Callable
from timeit import Timer
from typing import Any

import jwt
from django.conf import settings
from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing
from joserfc import jwe as joserfc_jwe
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import OctKey
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jwt as jwcrypto_jwt

from django_jwtsession.tokens import base64url
from django_jwtsession.tokens.claims import Claims, payload
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import WEEK, KeyRing, Secret

Work = Callable[[], Any]

COOKIES = "django.contrib.sessions.backends.signed_cookies"
AUTH = {
    "_auth_user_id": "42",
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_auth_user_hash": secrets.token_hex(32),
}
AIM = "auth keys"
DATA: dict[str, dict[str, Any]] = {
    AIM: {},
    "auth + small": {"cart": [17, 4711, 23], "lang": "de", "seen": True},
    "auth + 2 KB": {f"key {n}": {"id": n, "note": secrets.token_urlsafe(24)} for n in range(32)},
}
# What is compared, with what, and the most that its time may be of the other's.
SLACK = 1.15
GOALS = [
    ("read JWE", "signing.loads", 0.45),
    ("issue JWE", "signing.dumps", 0.5),
    ("read HS256", "PyJWT.decode", 0.4),
]


def works(data: dict[str, Any]) -> dict[str, Work]:
    """Return what takes turns, by name, on the same session data."""
    now = time.time()
    secret = secrets.token_urlsafe(32)
    ring = KeyRing([secret], "sessionid")
    ours, signed = Codec(ring), Codec(ring, ["HS256"])
    ah = base64url.encode(bytes.fromhex(AUTH["_auth_user_hash"])).decode()
    claims = Claims(
        secrets.token_urlsafe(16),
        int(now),
        int(now) + 86400,
        int(now * 1000),
        sub="42",
        auth_time=round(now, 3),
        be="Q-k3_x",
        ah=ah,
        d=data or None,
    )
    raw = Secret(secret, "sessionid")
    encrypt, sign = (raw.derive(f"{use}/{int(now) // WEEK}") for use in ("encrypt", "sign"))
    found: dict[str, Work] = {}

    def pair(name: str, read: Callable[[str], Any], issue: Callable[[], str]) -> None:
        token = issue()
        read(token)
        found[f"read {name}"] = lambda: read(token)
        found[f"issue {name}"] = issue

    pair("JWE", lambda t: ours.read(t, now), lambda: ours.issue(claims, now))
    pair("HS256", lambda t: signed.read(t, now), lambda: signed.issue(claims, now))

    session = AUTH | data

    def dumps() -> str:  # as Django's signed_cookies engine calls it
        return signing.dumps(session, compress=True, salt=COOKIES, serializer=JSONSerializer)

    cookie = dumps()
    found["signing.dumps"] = dumps
    found["signing.loads"] = lambda: signing.loads(
        cookie, serializer=JSONSerializer, max_age=86400, salt=COOKIES
    )

    members = payload(claims)
    token = jwt.encode(members, sign, "HS256")
    found["PyJWT.decode"] = lambda: jwt.decode(token, sign, algorithms=["HS256"])
    found["PyJWT.encode"] = lambda: jwt.encode(members, sign, "HS256")

    rfc_sign, rfc_encrypt = OctKey.import_key(sign), OctKey.import_key(encrypt)
    pair(
        "joserfc HS256",
        lambda t: joserfc_jwt.decode(t, rfc_sign, ["HS256"]),
        lambda: joserfc_jwt.encode({"alg": "HS256"}, members, rfc_sign, ["HS256"]),
    )
    dir_header, names = {"alg": "dir", "enc": "A256GCM"}, ["dir", "A256GCM"]
    pair(
        "joserfc JWE",
        lambda t: json.loads(joserfc_jwe.decrypt_compact(t, rfc_encrypt, names).plaintext or b""),
        lambda: joserfc_jwe.encrypt_compact(
            dir_header, json.dumps(members).encode(), rfc_encrypt, names
        ),
    )

    for kind, header, key in (
        ("HS256", {"alg": "HS256"}, sign),
        ("JWE", dir_header, encrypt),
    ):
        jwk = jwcrypto_jwk.JWK(kty="oct", k=base64url.encode(key).decode())

        def issue(header: Any = header, jwk: Any = jwk, kind: str = kind) -> str:
            made = jwcrypto_jwt.JWT(header=header, claims=members)
            (made.make_signed_token if kind == "HS256" else made.make_encrypted_token)(jwk)
            return str(made.serialize())

        def read(token: str, jwk: Any = jwk, kind: str = kind) -> Any:
            return jwcrypto_jwt.JWT(jwt=token, key=jwk, expected_type=kind.replace("HS256", "JWS"))

        pair(f"jwcrypto {kind}", read, issue)
    return found


def measure(found: dict[str, Work], rounds: int) -> dict[str, float]:
    """Return the microseconds of each work in its fastest burst."""
    timers = {name: Timer(work) for name, work in found.items()}
    # About as long for each burst: 5 ms.
    counts = {name: max(3, int(0.005 / timer.timeit(3) * 3)) for name, timer in timers.items()}
    fastest = dict.fromkeys(found, float("inf"))
    names = list(found)
    for _ in range(rounds):
        random.shuffle(names)
        for name in names:
            took = timers[name].timeit(counts[name]) / counts[name] * 1e6
            fastest[name] = min(fastest[name], took)
    return fastest


def report(title: str, times: dict[str, float]) -> bool:
    """Print the times and ratios of one payload; return whether all goals are met, with slack."""
    print(f"\n{title}\n")
    print(f"| {'':22} |    us |")
    print(f"|{'-' * 24}|------:|")
    for name, took in times.items():
        print(f"| {name:22} | {took:5.1f} |")
    print()
    for name, other, most in GOALS:
        ratio = times[name] / times[other]
        print(f"{name} / {other}: {ratio:.2f}" + (f" (goal {most})" if title == AIM else ""))
    return all(times[name] / times[other] <= most * SLACK for name, other, most in GOALS)


def main() -> int:
    if not settings.configured:
        settings.configure(SECRET_KEY=secrets.token_urlsafe(50))
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"Python {sys.version.split()[0]}, fastest of {rounds} bursts, collector off.")
    gc.disable()
    met = {title: report(title, measure(works(data), rounds)) for title, data in DATA.items()}
    return 0 if met[AIM] else 1


if __name__ == "__main__":
    sys.exit(main())
