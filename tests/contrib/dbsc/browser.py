"""A browser that binds sessions, played in Python: Chromium's part of the protocol."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from jwt.algorithms import ECAlgorithm

from django_jwtsession.tokens import base64url
from django_jwtsession.tokens.jws import ES256

PROOF = "__Host-dbsc"
ORIGIN = {"Origin": "https://testserver", "Sec-Fetch-Site": "same-origin"}


def compact(header: Any, payload: Any, sign: Any = None) -> str:
    """Return a compact JWS of whatever is given."""
    parts = [base64url.encode(json.dumps(part).encode()) for part in (header, payload)]
    message = b".".join(parts)
    return b".".join([message, base64url.encode(sign(message) if sign else b"")]).decode()


class Key:
    """A key in the device."""

    def __init__(self, curve: ec.EllipticCurve | None = None) -> None:
        self.private = ec.generate_private_key(curve or ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, Any]:
        jwk: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(self.private.public_key()))
        return jwk

    def sign(self, message: bytes) -> bytes:
        return ES256().sign(message, self.private)

    def jws(self, payload: dict[str, Any], **header: Any) -> str:
        """Sign as browsers do; `header` changes its members, None takes one away."""
        members: dict[str, Any] = {"alg": "ES256", "typ": "dbsc+jwt", **header}
        members = {name: value for name, value in members.items() if value is not None}
        return compact(members, payload, self.sign)


class Browser:
    """One profile: cookies with their ends, a key, the session that it is told to bind."""

    def __init__(self, client: Client | None = None) -> None:
        self.client = client or Client()
        self.key = Key()
        self.offer: dict[str, str] = {}
        self.bound: dict[str, Any] | None = None
        self.challenge = ""
        self.proof_until = 0.0
        self.refreshes = 0

    # --- what a person does -----------------------------------------------------------------------

    def login(self, user: Any, password: str = "correct horse", path: str = "/login/") -> Any:
        """Log in by the form; keep what the answer offers."""
        form = {"username": user.get_username(), "password": password}
        response = self.client.post(path, form, secure=True)
        assert response.status_code == 302, response.content
        self.offer = offer_in(response) or self.offer
        return response

    def get(self, path: str, **headers: str) -> Any:
        """Open a page; sign first where the proof has come to its end, as browsers do."""
        if self.bound is not None and time.time() >= self.proof_until:
            self.refresh()
        self._forget_what_ended()
        return self.client.get(path, headers=headers, secure=True)

    # --- the protocol -----------------------------------------------------------------------------

    def register(self, jws: str | None = None, **headers: str) -> Any:
        """Answer the offer of the login with a key."""
        payload = {"authorization": self.offer["authorization"], "jti": self.offer["challenge"]}
        signed = self.key.jws(payload, jwk=self.key.jwk) if jws is None else jws
        response = self.post(self.offer["path"], {"Secure-Session-Response": signed, **headers})
        return self._take(response)

    def bind(self, user: Any) -> Browser:
        """Log in and register."""
        self.login(user)
        response = self.register()
        assert response.status_code == 200, response.content
        return self

    def ask(self, sid: str | None = None, **headers: str) -> Any:
        """Ask for a proof without a signature: for a challenge."""
        path, ids = self._refresh(sid)
        return self._take(self.post(path, {**ids, **headers}))

    def answer(self, jws: str | None = None, sid: str | None = None, **headers: str) -> Any:
        """Ask for a proof with a signature of the challenge in hand."""
        path, ids = self._refresh(sid)
        signed = self.key.jws({"jti": self.challenge}) if jws is None else jws
        self.refreshes += 1
        return self._take(self.post(path, {**ids, "Secure-Session-Response": signed, **headers}))

    def refresh(self) -> Any:
        """Get a new proof as browsers do: by the challenge in hand, then by that of the answer."""
        response = self.answer() if self.challenge else self.ask()
        if response.status_code == 403 and "Secure-Session-Challenge" in response.headers:
            response = self.answer()
        return response

    def post(self, path: str, headers: dict[str, str]) -> Any:
        """Send a request of the browser's own."""
        self._forget_what_ended()
        return self.client.post(path, headers={**ORIGIN, **headers}, secure=True)

    @property
    def sid(self) -> str:
        assert self.bound is not None
        return str(self.bound["session_identifier"])

    def copy(self) -> Client:
        """Return somebody who has copied all cookies, and not the key."""
        thief = Client()
        for name, morsel in self.client.cookies.items():
            thief.cookies[name] = morsel.value
        return thief

    def _refresh(self, sid: str | None) -> tuple[str, dict[str, str]]:
        path = self.bound["refresh_url"] if self.bound else "/dbsc/refresh"
        return path, {"Sec-Secure-Session-Id": self.sid if sid is None else sid}

    def _take(self, response: Any) -> Any:
        """Believe an answer as Chromium does."""
        challenge = response.headers.get("Secure-Session-Challenge")
        if challenge:
            self.challenge = re.fullmatch(r'"([^"\\]+)";id="([^"]+)"', challenge)[1]  # type: ignore[index]
        if response.status_code == 200:
            self.bound = response.json()
            [told] = self.bound["credentials"]
            self.proof_until = time.time() + response.cookies[told["name"]]["max-age"]
        elif not challenge and response.status_code < 500:
            self.bound = None
        return response

    def _forget_what_ended(self) -> None:
        if PROOF in self.client.cookies and time.time() >= self.proof_until:
            del self.client.cookies[PROOF]


def offer_in(response: Any) -> dict[str, str]:
    """Return the parameters of a registration header; none without one."""
    header = response.headers.get("Secure-Session-Registration")
    if header is None:
        return {}
    algorithms, _, parameters = header.partition(";")
    assert algorithms == "(ES256)"
    return dict(re.findall(r'(\w+)="([^"]*)"', parameters))
