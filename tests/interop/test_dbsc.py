"""A browser that binds sessions, played on Node with jose: another JOSE than ours signs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from tests.contrib.dbsc.conftest import django_db_setup, installed  # noqa: F401  # fixtures

if not os.environ.get("INTEROP"):
    pytest.skip("set INTEROP=1: it installs jose with npm", allow_module_level=True)

FOLDER = Path(__file__).parent / "node"


@pytest.fixture
def site(transactional_db: None, installed: None) -> Iterator[str]:  # noqa: F811
    """The address of a server that began with the app installed."""
    server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()


@pytest.fixture
def jose() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are missing")
        pytest.skip("node and npm are missing")
    if not (FOLDER / "node_modules" / "jose").exists():
        install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(install, cwd=FOLDER, check=True, capture_output=True)


@pytest.mark.usefixtures("jose")
def test_node_binds_a_session_and_proves_its_key(site: str) -> None:
    user = User.objects.create_user("ada", password="correct horse")
    client = Client()
    form = {"username": user.get_username(), "password": "correct horse"}
    response = client.post("/login/", form)
    given = {
        "url": site,
        "cookies": {name: morsel.value for name, morsel in client.cookies.items()},
        "registration": response.headers["Secure-Session-Registration"],
    }
    done = subprocess.run(
        ["node", "device.mjs"],
        cwd=FOLDER,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["statuses"] == {
        "registered": 200,
        "refreshed": 200,
        "reused": 403,
        "after": 200,
        "asked": 403,
        "quoted": 200,
        "with_jwk": 400,
        "wrong_typ": 400,
        "hs256": 400,
        "stolen": 410,
        "ended": 410,
    }
    assert found["told"]["credentials"][0]["name"] == "__Host-dbsc"
