"""What a release says of itself, and the workflow that publishes it."""

from __future__ import annotations

import re
import subprocess
from configparser import ConfigParser
from typing import Any

import yaml

from django_jwtsession import __version__

from .running import ENVIRON, README, ROOT


def test_classifiers_are_what_the_readme_promises() -> None:
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    classifiers = config["metadata"]["classifiers"].split("\n")
    promise = r"Python (3\.\d+) to (3\.\d+), Django (\d\.\d) to (\d\.\d)"
    oldest, newest, first, last = re.findall(promise, README)[0]
    pythons = [c.rpartition(" ")[2] for c in classifiers if re.search(r"Python :: 3\.\d", c)]
    djangos = [c.rpartition(" ")[2] for c in classifiers if re.search(r"Django :: \d", c)]
    assert (pythons[0], pythons[-1], djangos[0], djangos[-1]) == (oldest, newest, first, last)
    assert config["options"]["python_requires"] == f">={oldest}"
    for page in ("CONTRIBUTING.md", "docs/tutorial.md"):
        assert f"Python {oldest} or newer" in (ROOT / page).read_text(encoding="utf-8")
    assert f"Django>={first}" in config["options"]["install_requires"]
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    assert all(f"py{python.replace('.', '')}" in tox for python in pythons)
    assert all(f"dj{django.replace('.', '')}: Django>={django}" in tox for django in djangos)


def test_version_stands_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{__version__}] - 20" in changelog


# --- the workflow --------------------------------------------------------------------------------

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/publish.yml").read_text(encoding="utf-8"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def steps(job: str) -> list[dict[str, Any]]:
    return list(WORKFLOW["jobs"][job]["steps"])


def test_tag_of_a_version_and_nothing_else_starts_the_workflow() -> None:
    # YAML 1.1, which PyYAML reads, takes the word for a truth value.
    assert WORKFLOW[True] == {"push": {"tags": ["v*"]}}
    tags = re.findall(r"git tag -s (\S+)", CONTRIBUTING)
    assert tags == [f"v{__version__}"]


def test_tag_that_is_not_the_version_is_refused() -> None:
    [compare] = [step["run"] for step in steps("build") if "GITHUB_REF_NAME" in step.get("run", "")]
    for tag, code in ((f"v{__version__}", 0), (__version__, 1), ("v1.0", 1), ("v", 1)):
        done = subprocess.run(
            ["bash", "-e", "-c", compare], cwd=ROOT, env={**ENVIRON, "GITHUB_REF_NAME": tag}
        )
        assert done.returncode == code, tag


def test_workflow_builds_as_everybody_does_and_publishes_just_that() -> None:
    assert "make package" in [step.get("run") for step in steps("build")]
    assert "`make package`" in CONTRIBUTING
    assert WORKFLOW["jobs"]["publish"]["needs"] == "build"
    sent, taken = (
        [step["with"] for step in steps(job) if f"/{load}-artifact@" in step.get("uses", "")]
        for job, load in (("build", "upload"), ("publish", "download"))
    )
    assert {one["name"]: one["path"].split() for one in sent} == {
        "dist": ["dist/*.whl", "dist/*.tar.gz"],
        "sbom": ["dist/*.cdx.json"],
    }
    assert taken == [{"name": "dist", "path": "dist"}]


def test_workflow_publishes_by_trust_and_without_a_token() -> None:
    publish = WORKFLOW["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"]["name"] == "pypi"
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in WORKFLOW["jobs"]["build"], "who builds gets no identity"
    last = steps("publish")[-1]
    assert last["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert "with" not in last, "no user, no password, no other index"
    assert "secrets." not in str(WORKFLOW)


def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    text = (ROOT / ".github/workflows/publish.yml").read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.*)", text)
    assert len(uses) == 6
    for one in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one
