"""A process reads each proof once; what it remembers opens no more than what it reads."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from django_jwtsession.contrib.dbsc import proofs
from django_jwtsession.revocation import revoke_session
from django_jwtsession.tokens.codec import Codec

from .browser import PROOF, Browser, Key

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("row_engine", "strict")]


@pytest.fixture
def known(browser: Browser, user: User, clock: Any) -> Browser:
    """A browser whose proof the process has read."""
    browser.bind(user)
    assert browser.get("/").content == b"ada"
    return browser


def read(browser: Browser, proof: str | None, order: str = "{session}; {proof}") -> str:
    """Ask with this in the place of the proof's cookie."""
    session = f"sessionid={browser.client.cookies['sessionid'].value}"
    line = order.format(session=session, proof=f"{PROOF}={proof}") if proof else session
    return str(Client(HTTP_COOKIE=line).get("/", secure=True).content.decode())


def proof_of(browser: Browser) -> str:
    return str(browser.client.cookies[PROOF].value)


def test_proof_is_opened_once(known: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def count(codec: Codec, token: str, now: float) -> Any:
        opened.append(token)
        return read_token(codec, token, now)

    read_token = Codec.read
    proof = proof_of(known)
    assert read(known, proof) == "ada"
    monkeypatch.setattr(Codec, "read", count)
    assert read(known, proof) == "ada"
    assert read(known, proof, "{session}; {proof}; c=d") == "ada"
    assert opened.count(proof) == 0


@pytest.mark.parametrize(
    "order", ["{session}; {proof}", "{proof}; {session}", "a=b; {session}; {proof}; c=d"]
)
def test_proof_opens_wherever_it_stands(known: Browser, order: str) -> None:
    for _ in range(2):
        assert read(known, proof_of(known), order) == "ada"


def test_proof_that_was_changed_opens_nothing(known: Browser) -> None:
    proof = proof_of(known)
    for changed in (proof + "A", proof[:-1], proof[:-1] + "-", proof + ".A", proof[:40], "", None):
        assert read(known, changed) == "anonymous", changed
    for order in ("{session}; x{proof}", "{session}; x={proof}", "x{proof}; {session}"):
        assert read(known, proof, order) == "anonymous", order
    assert read(known, proof) == "ada"


def test_proof_that_has_ended_opens_nothing(known: Browser, clock: Any) -> None:
    proof = proof_of(known)
    clock.shift(600)
    assert read(known, proof) == "ada"
    clock.shift(1)
    assert read(known, proof) == "anonymous"


def test_proof_before_is_good_until_it_ends_and_the_next_as_well(
    known: Browser, clock: Any
) -> None:
    first = proof_of(known)
    clock.shift(500)
    known.refresh()
    second = proof_of(known)
    for proof in (first, second, first, second):
        assert read(known, proof) == "ada"
    clock.shift(101)
    for proof, who in ((first, "anonymous"), (second, "ada"), (first, "anonymous")):
        assert read(known, proof) == who


def test_proof_of_another_session_opens_nothing(known: Browser, user: User) -> None:
    other = Browser().bind(user)
    assert other.get("/").content == b"ada"
    for _ in range(2):
        assert read(known, proof_of(other)) == "anonymous"
        assert read(known, proof_of(known)) == "ada"


def test_proof_by_the_key_before_opens_nothing_after_the_next(
    known: Browser, user: User, clock: Any
) -> None:
    before = proof_of(known)
    del known.client.cookies[PROOF]
    known.key, known.bound, known.challenge = Key(), None, ""
    known.bind(user)
    clock.shift(100)
    assert known.get("/").content == b"ada"
    assert read(known, before) == "anonymous"
    assert known.get("/").content == b"ada"


def test_session_that_was_ended_opens_nothing_with_a_proof_that_is_known(known: Browser) -> None:
    revoke_session(known.sid)
    assert read(known, proof_of(known)) == "anonymous"


def test_proof_under_a_key_that_was_taken_away_opens_nothing(known: Browser, settings: Any) -> None:
    settings.JWTSESSION = {"KEYS": ["another secret that is long enough for a key of its own"]}
    assert (
        proofs.Proofs(  # as in a process that has begun with them
            ""
        ).find(session_with(known), known.sid)
        is None
    )


def session_with(browser: Browser) -> Any:
    cookies = f"sessionid=x; {PROOF}={proof_of(browser)}"
    return type("Session", (), {"environ": {"HTTP_COOKIE": cookies}, "cookies": None})()
