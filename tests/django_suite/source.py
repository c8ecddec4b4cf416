"""Where Django's own tests come from: the source distribution of the installed version.

It is fetched once by pip, kept in `.cache/`, and never committed.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "django_suite"
# What the session tests import lies in their own folder.
WANTED = "tests/sessions_tests/"


class NoSource(Exception):
    """The source distribution is neither cached nor to be had."""


def folder_of_tests() -> Path:
    """Return the folder that holds `sessions_tests`, fetched where it is not there yet.

    Raises NoSource where pip cannot get it.
    """
    version = django.get_version()
    target = CACHE / f"django-{version}"
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            unpacked = Path(scratch) / "unpacked"
            _extract(_download(version, Path(scratch)), unpacked)
            try:
                unpacked.rename(target)  # all or nothing, whoever else fetches it meanwhile
            except OSError:
                if not target.exists():
                    raise
    return target


def _download(version: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(folder), f"django=={version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        raise NoSource("pip download took more than 300 s") from None
    found = next(folder.glob("*.tar.gz"), None)
    if done.returncode or found is None:
        raise NoSource(f"pip cannot fetch the sources of Django {version}: {done.stderr[-500:]}")
    return found


def _extract(archive: Path, target: Path) -> None:
    """Unpack `sessions_tests` alone, as `target`/sessions_tests."""
    target.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            inside = member.name.partition("/")[2]
            if inside.startswith(WANTED) and member.isfile():
                # Not extract(): its filter is missing from Debian's Python 3.11.
                content = tar.extractfile(member)
                file = (target / inside.removeprefix("tests/")).resolve()
                if content is not None and file.is_relative_to(target.resolve()):
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content.read())
