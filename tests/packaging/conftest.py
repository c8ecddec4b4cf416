"""The package as it is published: built once for all tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .running import ROOT, run


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of the tree, and the wheel built from that."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, ROOT / ".ci" / "package.py", folder, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))
