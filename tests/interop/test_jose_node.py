"""jose on Node reads what we write, we read what it writes, and both agree on profile.json.

Installs jose with npm, so it only runs where INTEROP is set (`make test-interop`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from django_jwtsession.tokens.claims import Claims, payload
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import ALGORITHMS, KeyRing

if not os.environ.get("INTEROP"):
    pytest.skip("set INTEROP=1: it installs jose with npm", allow_module_level=True)

FOLDER = Path(__file__).parent / "node"
PROFILE = json.loads((FOLDER.parents[1] / "vectors" / "profile.json").read_text())
NOW = PROFILE["now"]
RING = KeyRing(PROFILE["keys"], PROFILE["cookie_name"])
SID = "Zm9ydHktdHdvLWJpdHM_LQ"
LOGIN = Claims(
    SID, NOW, NOW + 3600, NOW * 1000, sub="42", auth_time=NOW + 0.125, be="abc-_9", ah="AAEC"
)
SITE = {"issuer": "https://example.com", "audience": "app"}
SCOPE = {"iss": SITE["issuer"], "aud": SITE["audience"]}
CASES: dict[str, tuple[Claims, dict[str, str]]] = {
    "anonymous": (Claims(SID, NOW, NOW + 3600, NOW * 1000), {}),
    "issuer and audience": (LOGIN, SITE),
    "empty data": (LOGIN._replace(d={}), {}),
    "not ASCII": (LOGIN._replace(sub="Ærø", d={"größe": "€ 漢字 🔑 \u2028"}), SITE),
    "4 KB": (LOGIN._replace(d={"x": "0123456789abcdef" * 256}), {}),
}


@pytest.fixture(scope="module")
def node() -> Any:
    """Return a function that asks the script."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are missing")
        pytest.skip("node and npm are missing")
    if not (FOLDER / "node_modules" / "jose").exists():
        install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(install, cwd=FOLDER, check=True, capture_output=True)

    def ask(**request: Any) -> Any:
        site = {name: PROFILE[name] for name in ("now", "cookie_name", "keys", "jwks")}
        done = subprocess.run(
            ["node", "profile.mjs"],
            cwd=FOLDER,
            input=json.dumps(site | request),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def test_profile_is_read_and_derived_the_same(node: Any) -> None:
    answer = node(tokens=PROFILE["tokens"], derived=PROFILE["derived"])
    for entry, read in zip(PROFILE["tokens"], answer["read"], strict=True):
        assert read == {"ok": entry["claims"]}, f"{entry['alg']} {entry['name']}"
    for entry, derived in zip(PROFILE["derived"], answer["derived"], strict=True):
        assert entry.items() >= derived["ok"].items()
    assert [kid["ok"] for kid in answer["kids"]] == [k["kid"] for k in PROFILE["jwks"]["keys"]]


@pytest.mark.parametrize("compress", [False, True])
def test_node_reads_what_we_write(node: Any, compress: bool) -> None:
    ring = KeyRing(PROFILE["keys"], PROFILE["cookie_name"], compress=compress)
    asked: list[dict[str, Any]] = []
    expected = []
    for alg in ALGORITHMS:
        for claims, rules in CASES.values():
            scope = SCOPE if rules else {}
            token = Codec(ring, [alg], **rules).issue(claims, NOW)
            asked.append({"token": token, "alg": alg} | scope)
            expected.append({"ok": payload(claims) | scope})
    assert node(tokens=asked)["read"] == expected


@pytest.mark.parametrize("compress", [False, True])
def test_we_read_what_node_writes(node: Any, compress: bool) -> None:
    cases = [(alg, *case) for alg in ALGORITHMS for case in CASES.values()]
    wanted = [
        {"alg": alg, "claims": payload(claims) | (SCOPE if rules else {})}
        | ({"zip": "DEF"} if compress else {})
        for alg, claims, rules in cases
    ]
    for (alg, claims, rules), made in zip(cases, node(write=wanted)["written"], strict=True):
        scope = SCOPE if rules else {}
        read = Codec(RING, [alg], **rules).read(made["ok"], NOW)
        assert read == claims._replace(iss=scope.get("iss"), aud=scope.get("aud"))


def test_node_refuses_what_we_refuse(node: Any) -> None:
    token = Codec(RING, ["EdDSA"], **SITE).issue(LOGIN, NOW)
    head, body, mac = token.split(".")
    ours: dict[str, Any] = {"alg": "EdDSA"} | SCOPE
    asked = [
        ours | {"token": token},
        ours | {"token": token, "iss": "x"},
        ours | {"token": token, "aud": "x"},
        ours | {"token": token, "alg": "ES256"},
        ours | {"token": f"{head}.{body[:-1]}.{mac}"},
        ours | {"token": Codec(RING, ["EdDSA"], **SITE).issue(LOGIN._replace(exp=NOW - 20), NOW)},
    ]
    answers = node(tokens=asked)["read"]
    assert ["ok" in answer for answer in answers] == [True, *[False] * 5]
