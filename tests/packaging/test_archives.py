"""Wheel, sdist and SBOM: what is inside, and that a second build makes the same bytes."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import pytest

from django_jwtsession import __version__

from .running import ENVIRON, ROOT, run

pytestmark = pytest.mark.packaging

PACKAGE = ROOT / "django_jwtsession"
NEEDED = ["Django", "PyJWT", "cryptography", "ua-parser", "ua-parser-builtins"]


def test_wheel_holds_the_whole_package_and_nothing_else(wheel: Path):
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".po")
    }
    assert {"django_jwtsession/py.typed", "django_jwtsession/migrations/0001_initial.py"} <= names
    assert "django_jwtsession/templates/jwtsession/login.html" in names
    assert names - {n for n in names if n.endswith(".po")} == expected


def test_second_build_makes_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    """From a copy of the tree with other times and modes, as on a machine far away."""
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(
        *[".venv*", ".tox", "node_modules", ".*_cache", "__pycache__", "build"]
    )
    shutil.copytree(ROOT, copy, ignore=ignored, copy_function=shutil.copyfile)
    build = (sys.executable, copy / ".ci" / "package.py", tmp_path / "again")
    with patch.dict(ENVIRON, TZ="Pacific/Kiritimati", LC_ALL="C", PYTHONHASHSEED="1"):
        run("sh", "-c", 'umask 077; exec "$@"', "sh", *build, cwd=tmp_path)
    assert hashes(tmp_path / "again") == hashes(dist)


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each archive in a folder."""
    archives = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    assert len(archives) == 2
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in archives}


def test_wheel_says_where_the_project_is_and_what_it_needs(wheel: Path) -> None:
    [name] = [n for n in zipfile.ZipFile(wheel).namelist() if n.endswith("dist-info/METADATA")]
    metadata = zipfile.ZipFile(wheel).read(name).decode()
    assert f"Version: {__version__}" in metadata
    for label in ("Documentation", "Source", "Issues", "Changelog"):
        assert f"Project-URL: {label}, https://" in metadata
    needed = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert sorted(needed) == NEEDED


def test_sdist_holds_what_the_wheel_is_built_from_and_nothing_else(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()} - {""}
    papers = {"CHANGELOG.md", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md"}
    config = {"pyproject.toml", "setup.cfg"}
    folders = {"django_jwtsession", "django_jwtsession.egg-info"}
    assert {name.partition("/")[0] for name in names} == papers | config | folders
    assert not [name for name in names if name.endswith((".pyc", ".sqlite3", ".log"))]


def test_sbom_names_what_a_site_gets_with_the_wheel_and_nothing_else(dist: Path) -> None:
    run(sys.executable, ROOT / ".ci" / "sbom.py", dist, cwd=dist)
    text = (dist / "django-jwtsession.cdx.json").read_text(encoding="utf-8")
    sbom = json.loads(text)
    names = {one["bom-ref"]: one["name"] for one in sbom["components"]}
    needs = {one["ref"]: set(one.get("dependsOn", ())) for one in sbom["dependencies"]}
    [ours] = [ref for ref, name in names.items() if name == "django-jwtsession"]
    assert sorted(names[ref] for ref in needs[ours]) == NEEDED
    reached = {ours}
    while further := set().union(*map(needs.__getitem__, reached)) - reached:
        reached |= further
    assert reached == names.keys(), "something is there that nothing of ours needs"
    assert {"asgiref", "sqlparse", "cffi"} <= set(names.values())
    assert all(one["purl"].startswith("pkg:pypi/") for one in sbom["components"])
    assert "file:" not in text
