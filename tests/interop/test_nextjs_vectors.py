"""The vectors of the token profile, as the reader of the Next.js example takes them.

Installs and compiles with npm, so it only runs where INTEROP is set (`make test-interop`).
"""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_jwtsession.tokens.claims import Claims
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import ALGORITHMS, KeyRing
from django_jwtsession.tokens.sid import new_sid
from example_project.nextjs import demo

if not os.environ.get("INTEROP"):
    pytest.skip("set INTEROP=1: it compiles the Next.js example", allow_module_level=True)

VECTORS = Path(__file__).parents[1] / "vectors"
PROFILE = json.loads((VECTORS / "profile.json").read_text())
HOSTILE = json.loads((VECTORS / "hostile.json").read_text())
PLACES = ("", "sessions", "/acme")
SECRETS = [key for key in PROFILE["keys"] if "-----BEGIN " not in key]


class _Jwks(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(PROFILE["jwks"]).encode())

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def jwks() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Jwks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def lib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's lib/, compiled."""
    demo.install()
    folder = tmp_path_factory.mktemp("lib")
    options = "--ignoreConfig --rootDir lib --module commonjs --target es2022 --strict"
    options += " --moduleResolution bundler --noUncheckedIndexedAccess --skipLibCheck --types node"
    command = ["node_modules/.bin/tsc", "lib/token.ts", "--outDir", str(folder), *options.split()]
    subprocess.run(command, cwd=demo.SITE, check=True)
    return folder


def read(lib: Path, env: dict[str, str], now: float, tokens: list[str]) -> list[Any]:
    done = subprocess.run(
        ["node", str(Path(__file__).parent / "node" / "read.cjs"), str(lib)],
        env=os.environ | {"NODE_PATH": str(demo.SITE / "node_modules")} | env,
        input=json.dumps({"now": now, "tokens": tokens}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def environment(jwks: str, **rules: Any) -> dict[str, str]:
    algorithms = rules.get("ALGORITHMS", HOSTILE["algorithms"])
    return {
        "SESSION_SECRET": SECRETS[0],
        "SESSION_ALGORITHMS": ",".join(algorithms),
        "SESSION_COOKIE_NAME": PROFILE["cookie_name"],
        "SESSION_JWKS_URL": jwks,
        "SESSION_ISSUER": rules.get("ISSUER") or "",
        "SESSION_AUDIENCE": rules.get("AUDIENCE") or "",
        "SESSION_PLACE": rules.get("PLACE") or "",
    }


def test_reader_refuses_every_hostile_token(lib: Path, jwks: str) -> None:
    groups = defaultdict(list)
    for entry in HOSTILE["tokens"]:
        groups[json.dumps(entry.get("settings", {}))].append(entry)
    taken = []
    for rules, entries in groups.items():
        tokens = [entry["token"] * entry.get("repeat", 1) for entry in entries]
        answers = read(lib, environment(jwks, **json.loads(rules)), HOSTILE["now"], tokens)
        taken += [
            (entry["name"], answer)
            for entry, answer in zip(entries, answers, strict=True)
            if answer is not None
        ]
    assert taken == []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_reader_knows_places(lib: Path, jwks: str, algorithm: str) -> None:
    """PEM keys are the same in all places, so the claim has to tell them apart."""
    now = PROFILE["now"]
    ring = {p: KeyRing(PROFILE["keys"], PROFILE["cookie_name"], place=p) for p in PLACES}
    claims = Claims(new_sid(), now - 60, now + 60, now * 1000)
    tokens = [Codec(ring[p], [algorithm], place=p).issue(claims, now) for p in PLACES]
    for place in PLACES:
        answers = read(lib, environment(jwks, PLACE=place), now, tokens)
        assert [answer is not None for answer in answers] == [place == p for p in PLACES]


def test_reader_takes_every_token_of_the_profile(lib: Path, jwks: str) -> None:
    entries = [t for t in PROFILE["tokens"] if not t["name"].startswith("an older key")]
    groups = defaultdict(list)
    for entry in entries:
        groups[entry.get("iss"), entry.get("aud")].append(entry)
    for (issuer, audience), group in groups.items():
        env = environment(jwks, ISSUER=issuer, AUDIENCE=audience)
        answers = read(lib, env, PROFILE["now"], [entry["token"] for entry in group])
        for entry, answer in zip(group, answers, strict=True):
            assert answer == entry["claims"], f"{entry['alg']} {entry['name']}"
