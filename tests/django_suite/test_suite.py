"""Django's own tests for session engines and middleware hold for ours.

A new engine is one more row in ENGINES.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .exempt import ROWS, ROWS_WITH_OURS, STATELESS
from .source import NoSource, folder_of_tests

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"
STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "django_jwtsession.middleware.SessionMiddleware"

# Each engine, the tests that cannot hold for it, and how many there are at least to run.
ENGINES = {
    "django_jwtsession.backends.cookie": (STATELESS, 70),
    "django_jwtsession.backends.db": (ROWS, 200),
    "django_jwtsession.backends.hybrid": (ROWS, 130),
}


def sources() -> Path:
    """Return the folder of Django's tests; without it CI fails and a desk says that it skips."""
    try:
        return folder_of_tests()
    except NoSource as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"Django's own tests did not run: {error}")


@cache
def outcome(engine: str, middleware: str) -> dict[str, Any]:
    name = f"suite_{engine.rpartition('.')[2]}_{'ours' if middleware == OURS else 'stock'}"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(sources()), str(ROOT)]),
        "SUITE_DATABASE": f"test_{name}_{os.getpid()}" if os.environ.get("DATABASE_URL") else "",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.django_suite.run", engine, middleware],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def exempt_of(engine: str, middleware: str) -> dict[str, str]:
    """Return the tests that cannot hold for an engine behind a middleware."""
    exempt, _ = ENGINES[engine]
    return ROWS_WITH_OURS if exempt is ROWS and middleware == OURS else exempt


def bare(test_id: str) -> str:
    return test_id.rpartition(".")[2]


@pytest.mark.parametrize("middleware", [STOCK, OURS], ids=["stock", "ours"])
@pytest.mark.parametrize("engine", ENGINES)
class TestEngine:
    def test_django_s_tests_pass_but_for_the_exempt(self, engine: str, middleware: str) -> None:
        exempt, (_, at_least) = exempt_of(engine, middleware), ENGINES[engine]
        result = outcome(engine, middleware)
        failed = {test: why for test, why in result["failed"].items() if bare(test) not in exempt}
        assert not failed, "\n".join(failed.values())
        assert not result["skipped"]
        assert len(result["passed"]) >= at_least

    def test_no_exempt_test_passes_by_now(self, engine: str, middleware: str) -> None:
        exempt = exempt_of(engine, middleware)
        result = outcome(engine, middleware)
        by_now = {bare(test) for test in result["passed"]} & exempt.keys()
        assert not by_now, f"take these off the list of exempt tests: {sorted(by_now)}"
        known = {bare(test) for test in result["failed"]}
        assert exempt.keys() <= known, f"not run: {sorted(exempt.keys() - known)}"


def test_what_is_exempt_for_the_stateless_engine_fails_with_signed_cookies_too() -> None:
    failed = {bare(test) for test in outcome(SIGNED_COOKIES, STOCK)["failed"]}
    assert STATELESS.keys() <= failed, f"signed_cookies can: {sorted(STATELESS.keys() - failed)}"
