"""The admin's pages in themes that replace Django's templates: nothing of ours is lost there."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.processes
@pytest.mark.parametrize("theme", ["jazzmin", "unfold"])
def test_pages_keep_their_buttons_and_questions_in_a_theme(theme: str) -> None:
    command = [sys.executable, "-m", "tests.admin.themed_site", theme]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == 11
    assert [line for line in lines if not line.startswith("200 ") or line.count(" ") > 1] == []
