"""The readers of django_jwtsession.contrib.migrate read what the real packages on Node make today.

Installs them with npm, so it only runs where INTEROP is set (`make test-interop`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from django_jwtsession.conf.moving import OldEngine
from django_jwtsession.moving.readers import Reader

from ..moving.test_cookies_of_node import COOKIES, VECTORS, entry_of, name_of

if not os.environ.get("INTEROP"):
    pytest.skip("set INTEROP=1: it installs packages with npm", allow_module_level=True)

FOLDER = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def made() -> list[dict[str, Any]]:
    """Cookies that were made just now."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are missing")
        pytest.skip("node and npm are missing")
    if not (FOLDER / "node_modules" / "iron-session").exists():
        install = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(install, cwd=FOLDER, check=True, capture_output=True)
    asked = {name: VECTORS[name] for name in ("secret", "old", "user", "seconds")}
    done = subprocess.run(
        ["node", "cookies.mjs"],
        cwd=FOLDER,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", [vector["name"] for vector in COOKIES])
def test_cookie_of_node_is_read(made: list[dict[str, Any]], name: str) -> None:
    [vector] = [one for one in made if one["name"] == name]
    old = OldEngine.of(entry_of(vector))
    reader = Reader(old, import_module(old.engine))
    [cookie] = reader.cookies({name_of(vector): vector["value"]}, ["sessionid"])
    found = reader._read(cookie)
    assert found is not None
    assert abs(found.expires_at - time.time() - VECTORS["seconds"]) < 60
    assert reader.owner(cookie) == str(VECTORS["user"])
