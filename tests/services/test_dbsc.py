"""Sessions bound to a device on two server processes: each serves any step of the other's."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Any

import pytest

from tests.contrib.dbsc.browser import PROOF, Key, offer_in

from . import servers
from .conftest import make_user

STRICT = '{"MODE": "strict"}'


@pytest.fixture(scope="module")
def site(site_database: servers.Database, tmp_path_factory: Any) -> Iterator[servers.Site]:
    """Two processes whose clocks are 5 s apart."""
    engine, folder = "django_jwtsession.backends.hybrid", tmp_path_factory.mktemp("dbsc")
    with servers.serve(site_database, folder, engine, clocks=(0.0, 5.0), SITE_DBSC=STRICT) as site:
        yield site


class Device:
    """A browser with a key; it asks whichever server it is told."""

    def __init__(self) -> None:
        self.key, self.cookies, self.sid = Key(), SimpleCookie(), ""

    def send(self, server: servers.Server, method: str, path: str, **headers: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        cookies = "; ".join(f"{name}={each.value}" for name, each in self.cookies.items())
        sent = {"Cookie": cookies, "Origin": f"http://127.0.0.1:{server.port}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, headers=sent)
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        for header in response.headers.get_all("Set-Cookie") or ():
            self.cookies.load(header)
        return SimpleNamespace(status=response.status, headers=response.headers, body=body)

    def bind(self, login_at: servers.Server, register_at: servers.Server, user: str) -> Any:
        offer = offer_in(self.send(login_at, "GET", f"/log_in/?user={user}"))
        payload = {"authorization": offer["authorization"], "jti": offer["challenge"]}
        signed = self.key.jws(payload, jwk=self.key.jwk)
        answer = self.send(register_at, "POST", offer["path"], Secure_Session_Response=signed)
        assert answer.status == 200, answer.body
        self.sid = answer.headers["Secure-Session-Challenge"].partition('id="')[2].rstrip('"')
        return answer

    def refresh(self, server: servers.Server, answered: Any) -> Any:
        jti = answered.headers["Secure-Session-Challenge"].split('"')[1]
        return self.send(
            server,
            "POST",
            "/dbsc/refresh",
            Sec_Secure_Session_Id=self.sid,
            Secure_Session_Response=self.key.jws({"jti": jti}),
        )

    def who(self, server: servers.Server) -> str:
        return str(self.send(server, "GET", "/whoami/").body)


@pytest.mark.parametrize("first", [0, 1])
def test_login_registration_and_refresh_each_on_another_process(
    site: servers.Site, first: int
) -> None:
    one, other = site.servers[first], site.servers[1 - first]
    device, user = Device(), make_user(site)
    answered = device.bind(one, other, user)
    for server in (one, other, one):
        answered = device.refresh(server, answered)
        assert answered.status == 200, (answered.body, site.errors())
    for server in (one, other):
        assert user in device.who(server)
    proof = device.cookies.pop(PROOF)
    assert "null" in device.who(one)
    assert "null" in device.who(other)
    device.cookies[PROOF] = proof.value
    assert user in device.who(other)


def test_challenge_that_one_process_took_is_used_on_the_other(site: servers.Site) -> None:
    one, other = site.servers
    device, user = Device(), make_user(site)
    answered = device.bind(one, one, user)
    assert device.refresh(one, answered).status == 200
    assert device.refresh(other, answered).status == 403


def test_session_that_one_process_ended_has_no_refresh_on_the_other(site: servers.Site) -> None:
    one, other = site.servers
    device, user = Device(), make_user(site)
    answered = device.bind(one, other, user)
    kept = {name: each.value for name, each in device.cookies.items()}
    device.send(one, "GET", "/log_out/")
    device.cookies = SimpleCookie(kept)
    assert device.refresh(other, answered).status == 410
    servers.until(lambda: "null" in device.who(other))
