"""A key is replaced as an operator does it: one half of the servers, then the other.

At each step each half reads every cookie that either half has issued in the last step and in this.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise, permutations
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from django.test import Client

from django_jwtsession.exceptions import BadToken
from django_jwtsession.tokens.codec import Codec
from django_jwtsession.tokens.keys import ALGORITHMS, KeyRing
from tests.conftest import NOW, Visit, cookie
from tests.vectors.jose import pem

from .conftest import a_login

Settings = dict[str, list[str]]


def site(keys: list[str], *algorithms: str) -> Settings:
    return {"KEYS": keys, "ALGORITHMS": list(algorithms)}


def a_pem(alg: str) -> str:
    if alg == "ES256":
        return pem(ec.generate_private_key(ec.SECP256R1()))
    return pem(ed25519.Ed25519PrivateKey.generate())


OLD, NEW = "the old secret, of more than 32 bytes!", "the new secret, of more than 32 bytes!"
OLD_PEM, NEW_PEM, ED_PEM = a_pem("ES256"), a_pem("ES256"), a_pem("EdDSA")
ROTATIONS: dict[str, list[Settings]] = {
    "secret": [site(k, "A256GCM") for k in ([OLD], [OLD, NEW], [NEW, OLD], [NEW])],
    "signing secret": [site(k, "HS256") for k in ([OLD], [OLD, NEW], [NEW, OLD], [NEW])],
    "PEM": [
        site(k, "ES256") for k in ([OLD_PEM], [OLD_PEM, NEW_PEM], [NEW_PEM, OLD_PEM], [NEW_PEM])
    ],
    "secret to PEM": [
        site([OLD], "A256GCM"),
        site([OLD, ED_PEM], "A256GCM", "EdDSA"),
        site([OLD, ED_PEM], "EdDSA", "A256GCM"),
        site([ED_PEM], "EdDSA"),
    ],
    "ES256 to EdDSA": [
        site([OLD_PEM], "ES256"),
        site([OLD_PEM, ED_PEM], "ES256", "EdDSA"),
        site([OLD_PEM, ED_PEM], "EdDSA", "ES256"),
        site([ED_PEM], "EdDSA"),
    ],
}


def codec(settings: Settings) -> Codec:
    return Codec(KeyRing(settings["KEYS"], "sessionid"), settings["ALGORITHMS"])


@pytest.mark.parametrize("steps", ROTATIONS.values(), ids=ROTATIONS)
def test_at_no_step_is_a_token_unreadable_for_the_other_half(steps: list[Settings]) -> None:
    # The old key goes only after the longest session, or once all are under the new one.
    for before, after in pairwise(steps[:-1]):
        halves = codec(before), codec(after)
        for token in [half.issue(a_login(), NOW) for half in halves]:
            for half in halves:
                assert half.read(token, NOW).sub == "42"
    last, done = codec(steps[-2]), codec(steps[-1])
    assert done.read(last.issue(a_login(), NOW), NOW)
    assert last.read(done.issue(a_login(), NOW), NOW)
    with pytest.raises(BadToken):
        done.read(codec(steps[0]).issue(a_login(), NOW), NOW)


@pytest.mark.parametrize("steps", ROTATIONS.values(), ids=ROTATIONS)
def test_key_that_is_put_in_front_at_once_is_unknown_to_the_other_half(
    steps: list[Settings],
) -> None:
    """Why the step of listing it second is there."""
    with pytest.raises(BadToken):
        codec(steps[0]).read(codec(steps[2]).issue(a_login(), NOW), NOW)


class Half:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, line: str) -> tuple[str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        told = json.loads(self._process.stdout.readline())
        return told["user"], told["cookie"]


@contextmanager
def half(settings: Settings) -> Iterator[Half]:
    command = [sys.executable, "-m", "tests.tokens.half", json.dumps(settings)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        yield Half(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.processes
@pytest.mark.parametrize("steps", [ROTATIONS["secret"], ROTATIONS["secret to PEM"]])
def test_nobody_is_logged_out_while_two_processes_differ(steps: list[Settings]) -> None:
    """Two browsers, whose requests go to either process in turn, through the whole rotation."""
    jar = ["", ""]
    issued = []
    with ExitStack() as running:
        halves = [running.enter_context(half(settings)) for settings in [*steps, steps[-1]]]
        for one, other in pairwise(halves):
            for browser in (0, 1):
                if not jar[browser]:
                    jar[browser] = (one, other)[browser].ask("new")[1]
                for server in (one, other, one, other):
                    user, cookie = server.ask(jar[browser])
                    assert user == "42"
                    jar[browser] = cookie or jar[browser]
                issued.append(jar[browser])
            # All are as the other before the next step begins.
            for browser in (0, 1):
                user, cookie = other.ask(jar[browser])
                assert user == "42"
                jar[browser] = cookie or jar[browser]
        assert halves[-1].ask(issued[0]) == ("", "")  # of the key that was dropped
        assert halves[-1].ask(jar[0]) == ("42", "")


@pytest.mark.django_db
@pytest.mark.parametrize(("old", "new"), list(permutations(ALGORITHMS, 2)))
def test_visitor_stays_logged_in_while_the_site_moves(
    engine: str,
    old: str,
    new: str,
    user: Any,
    client: Client,
    visit: Visit,
    settings: Any,
    clock: Any,  # a late answer hands out no cookie
) -> None:
    keys = [OLD, OLD_PEM, ED_PEM]
    settings.JWTSESSION = site(keys, old)
    client.force_login(user)
    headers = []
    # With the first answer the cookie is a token: the client had set the session's key.
    for algorithms in ([old], [old, new], [new, old], [new]):
        settings.JWTSESSION = site(keys, *algorithms)
        response = visit(lambda request: str(request.user.pk))
        assert response.content.decode() == str(user.pk)
        headers.append(cookie(client).split(".")[0])
    assert headers[0] == headers[1] != headers[2] == headers[3]
