"""The adapters of the documentation, on sites with the real packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.processes
def test_proof_on_allauths_own_page_counts() -> None:
    done = subprocess.run(
        [sys.executable, "tests/pages/adapters/allauth_site.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": ""},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["proved"], done.stdout
