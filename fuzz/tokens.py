"""Fuzz the one door between a cookie and the rest: Codec.read, and the claims behind it.

``python -m fuzz.tokens -max_total_time=60``; other options are libFuzzer's. A run starts from the
tokens of tests/vectors. What must hold: nothing but BadToken is raised, what is read was sealed
with a key of ours, and what is read can be issued again and means the same.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports():
    from django_jwtsession.exceptions import BadToken
    from django_jwtsession.tokens import base64url, strict_json
    from django_jwtsession.tokens.claims import Claims, payload, validate
    from django_jwtsession.tokens.codec import Codec
    from django_jwtsession.tokens.keys import ALGORITHMS, KeyRing

VECTORS = Path(__file__).parents[1] / "tests" / "vectors"
PROFILE, HOSTILE = (json.loads((VECTORS / f"{n}.json").read_text()) for n in ("profile", "hostile"))
NOW: int = PROFILE["now"]
RING = KeyRing(PROFILE["keys"], PROFILE["cookie_name"])
CODEC = Codec(RING, ALGORITHMS)
KEYS = [RING.newest(alg, NOW) for alg in ALGORITHMS]
# Some of the hostile ones are, for other settings than ours.
AUTHENTIC = {entry["token"] for entry in PROFILE["tokens"] + HOSTILE["tokens"]}


def as_cookie(data: bytes) -> None:
    """Take `data` for a token as it comes: it is refused, or one of the vectors."""
    token = data.decode("latin-1")
    with contextlib.suppress(BadToken):
        CODEC.read(token, NOW)
        assert token in AUTHENTIC or _is_es256(token), "accepted a token that nobody issued"


def _is_es256(token: str) -> bool:
    # Whoever has one signature (r, s) of ES256 has (r, n - s) as well; it signs the same.
    return any(token.rpartition(".")[0] == known.rpartition(".")[0] for known in AUTHENTIC)


def as_header(data: bytes) -> None:
    """Take `data` for the header of a token."""
    head = base64url.encode(data).decode()
    for rest in ("..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA", ".e30.AAAA"):
        try:
            CODEC.read(head + rest, NOW)
        except BadToken:
            continue
        raise AssertionError("accepted a header without a signature")


def as_payload(data: bytes) -> None:
    """Take `data` for the payload of a token that is authentic."""
    for key in KEYS:
        assert key is not None
        try:
            claims = CODEC.read(key.seal(data).decode(), NOW)
        except BadToken:
            continue
        _may_be_issued_again(claims, NOW)


def as_claims(data: bytes) -> None:
    """Take `data` for JSON, and that for claims at some time."""
    try:
        members: dict[str, Any] = strict_json.loads(data)
    except BadToken:
        return
    assert members == json.loads(data)
    for now in (0, NOW, members.get("iat")):
        if isinstance(now, int | float):
            with contextlib.suppress(BadToken):
                _may_be_issued_again(validate(members, now), now)


def _may_be_issued_again(claims: Claims, now: float) -> None:
    with contextlib.suppress(ValueError):  # infinite numbers and lone surrogates are read
        token = CODEC.issue(claims._replace(aud=None), now)
        assert payload(CODEC.read(token, now)) == payload(claims._replace(aud=None))


TARGETS = (as_cookie, as_header, as_payload, as_claims)


def target(data: bytes) -> None:
    """The first byte says what the rest is taken for."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def corpus(folder: Path) -> None:
    """Write what a run starts from: the vectors, their headers and their payloads."""
    texts = [t["token"] for t in PROFILE["tokens"] + HOSTILE["tokens"] if t["token"].isascii()]
    seeds = {b"\x00" + text.encode() for text in texts}
    for text in texts:
        with contextlib.suppress(BadToken):
            seeds.add(b"\x01" + base64url.decode(text.encode().split(b".")[0]))
        with contextlib.suppress(BadToken):
            members = json.dumps(CODEC.open(text, NOW)).encode()
            seeds |= {b"\x02" + members, b"\x03" + members}
    for number, seed in enumerate(sorted(seeds)):
        (folder / str(number)).write_bytes(seed)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        corpus(Path(folder))
        # The limit is MAX_LENGTH and what is beyond it; findings go where the run was started.
        atheris.Setup([*sys.argv, "-max_len=9000", folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
