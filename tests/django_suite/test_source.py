"""Without Django's sources CI fails, and a desk says what did not run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from . import source, test_suite


@pytest.fixture
def nothing_to_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source, "CACHE", tmp_path)
    failed = subprocess.CompletedProcess([], 1, "", "no such index")
    monkeypatch.setattr(source.subprocess, "run", lambda *_, **__: failed)


def test_sources_that_cannot_be_had_fail_in_ci(
    nothing_to_fetch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "1")
    with pytest.raises(source.NoSource, match="no such index"):
        test_suite.sources()


def test_sources_that_cannot_be_had_are_a_clear_skip_at_a_desk(
    nothing_to_fetch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="pip cannot fetch the sources of Django"):
        test_suite.sources()


def test_failed_fetch_leaves_nothing_that_the_next_would_take_for_the_sources(
    nothing_to_fetch: None, tmp_path: Path
) -> None:
    with pytest.raises(source.NoSource):
        source.folder_of_tests()
    assert list(tmp_path.iterdir()) == []


def test_sources_that_are_there_are_used_offline(
    nothing_to_fetch: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "django-9.9").mkdir()
    monkeypatch.setattr(source.django, "get_version", lambda: "9.9")
    assert source.folder_of_tests() == tmp_path / "django-9.9"
