"""Build sdist and wheel so that the same commit makes the same bytes: `python .ci/package.py dist`.

What differs between two machines is left out: times (SOURCE_DATE_EPOCH, by default that of the
last commit), owners, modes, the order of files. The wheel is built from the sdist.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# 2020-01-01, where the tree is no repository.
_SOME_TIME = "1577836800"
_LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv*",
    ".tox",
    "*.egg-info",
    "__pycache__",
    "build",
    "dist",
    "node_modules",
    ".*_cache",
)


def main(folder: str) -> None:
    """Write the sdist and the wheel into a folder, and print their names."""
    target = Path(folder).resolve()
    target.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SOURCE_DATE_EPOCH", _time_of_commit())
    os.environ["PYTHONHASHSEED"] = "0"
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, "tree")
        shutil.copytree(ROOT, tree, ignore=_LEFT_OUT)
        _build("--sdist", tree, Path(scratch))
        [sdist] = Path(scratch).glob("*.tar.gz")
        _write_again(sdist, target / sdist.name)
        with tarfile.open(target / sdist.name) as archive:
            archive.extractall(scratch, filter="data")
        _build("--wheel", Path(scratch, sdist.name.removesuffix(".tar.gz")), target)


def _time_of_commit() -> str:
    command = ["git", "log", "-1", "--format=%ct"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or _SOME_TIME


def _build(what: str, tree: Path, target: Path) -> None:
    command = [sys.executable, "-m", "build", what, "--outdir", str(target), str(tree)]
    subprocess.run(command, cwd=target, check=True)


def _write_again(source: Path, target: Path) -> None:
    """Write a tar.gz again with what two builds have in common."""
    packed = io.BytesIO()
    with tarfile.open(source) as old, tarfile.open(fileobj=packed, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            member.mtime = int(os.environ["SOURCE_DATE_EPOCH"])
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    with target.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as zipped:
        zipped.write(packed.getvalue())


if __name__ == "__main__":
    main(*sys.argv[1:])
