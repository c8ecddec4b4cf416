"""The files of vectors, which other implementations read as well, against the codec."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from django_jwtsession.exceptions import BadToken
from django_jwtsession.tokens.claims import Claims
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import ALGORITHMS, KeyRing, Secret
from tests.vectors import hostile, profile

FOLDER = Path(__file__).parents[1] / "vectors"
PROFILE = json.loads((FOLDER / "profile.json").read_text())
HOSTILE = json.loads((FOLDER / "hostile.json").read_text())
RING = KeyRing(PROFILE["keys"], PROFILE["cookie_name"])


def name(entry: dict[str, Any]) -> str:
    return f"{entry.get('alg', '')} {entry['name']}".strip()


def text(entry: dict[str, Any]) -> str:
    token: str = entry["token"] * entry.get("repeat", 1)
    return token


def strict_reader(entry: dict[str, Any]) -> Codec:
    rules = entry.get("settings", {})
    return Codec(
        RING,
        rules.get("ALGORITHMS", HOSTILE["algorithms"]),
        issuer=rules.get("ISSUER"),
        audience=rules.get("AUDIENCE"),
    )


@pytest.mark.parametrize("entry", PROFILE["tokens"], ids=name)
def test_token_of_the_profile_says_what_it_says(entry: dict[str, Any]) -> None:
    reader = Codec(RING, [entry["alg"]], issuer=entry.get("iss"), audience=entry.get("aud"))
    known = {k: v for k, v in entry["claims"].items() if k in Claims._fields}
    assert reader.read(entry["token"], PROFILE["now"]) == Claims(**known)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_token_of_the_profile_is_what_we_issue(alg: str) -> None:
    """Same header, and where nothing is random, the same token."""
    for entry in PROFILE["tokens"]:
        if entry["alg"] != alg or entry["name"] in ("a claim of others", "compressed"):
            continue
        if entry["name"].startswith("an older key"):
            continue
        ours = Codec(RING, [alg]).issue(Claims(**entry["claims"]), PROFILE["now"])
        assert ours.split(".")[0] == entry["token"].split(".")[0]
        ordered = not entry["claims"].keys() & {"iss", "aud", "nbf"}  # ours come before `sub`
        if alg != "A256GCM" and ordered:
            assert ours == entry["token"], entry["name"]


@pytest.mark.parametrize("entry", PROFILE["derived"], ids=lambda e: e["kid"])
def test_keys_of_the_profile(entry: dict[str, Any]) -> None:
    secret, week = Secret(entry["secret"], PROFILE["cookie_name"]), entry["week"]
    assert f"{week}-{secret.fingerprint}" == entry["kid"]
    assert secret.derive(f"encrypt/{week}").hex() == entry["encrypt"]
    assert secret.derive(f"sign/{week}").hex() == entry["sign"]


def test_public_keys_of_the_profile() -> None:
    assert RING.jwks == PROFILE["jwks"]


@pytest.mark.parametrize("entry", HOSTILE["tokens"], ids=name)
@pytest.mark.requirement(
    "ASVS 9.1.2",
    "ASVS 9.1.3",
    "ASVS 9.2.2",
    "RFC 8725 3.1",
    "RFC 8725 3.2",
    "RFC 8725 3.4",
    "RFC 8725 3.10",
    "RFC 8725 3.11",
)
def test_hostile_token_is_refused_for_the_right_reason(entry: dict[str, Any]) -> None:
    reader = strict_reader(entry)
    for _ in range(2):  # the second time as well, when something may have been remembered
        with pytest.raises(BadToken) as refused:
            reader.read(text(entry), HOSTILE["now"])
        assert refused.value.reason == entry["reason"]
        assert str(refused.value) == entry["reason"]


def test_hostile_tokens_take_no_longer_than_their_length_explains() -> None:
    reader = Codec(RING, HOSTILE["algorithms"])

    def milliseconds(token: str) -> float:
        begun = time.perf_counter()
        with pytest.raises(BadToken):
            reader.read(token, HOSTILE["now"])
        return 1000 * (time.perf_counter() - begun)

    for entry in HOSTILE["tokens"]:
        if "settings" not in entry:
            token = text(entry)
            # The longest that may be read at all, 8 KiB, takes well under 1 ms.
            assert min(milliseconds(token) for _ in range(5)) < 20, entry["name"]


@pytest.mark.requirement("RFC 8725 3.6")
def test_bomb_does_not_get_its_memory() -> None:
    [bomb] = [t for t in HOSTILE["tokens"] if t["name"] == "zip: a bomb of 5 MB"]
    reader = Codec(RING, HOSTILE["algorithms"])
    tracemalloc.start()
    try:
        with pytest.raises(BadToken):
            reader.read(bomb["token"], HOSTILE["now"])
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("made", [profile.profile, hostile.hostile])
def test_files_are_what_their_makers_make(made: Any) -> None:
    """After a change: ``python -m tests.vectors.make``."""

    def settled(content: dict[str, Any]) -> dict[str, Any]:
        # Another zlib may find other bytes for the same data.
        keep = [
            t for t in content["tokens"] if "ompress" not in t["name"] and "zip" not in t["name"]
        ]
        return content | {"tokens": keep}

    content = json.loads((FOLDER / f"{made.__name__}.json").read_text())
    assert settled(content) == settled(json.loads(json.dumps(made())))


def test_names_of_hostile_tokens_stand_once() -> None:
    names = [entry["name"] for entry in HOSTILE["tokens"]]
    assert sorted(set(names)) == sorted(names)
