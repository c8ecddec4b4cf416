"""The neighbours' own test suites, with our engine in the place of Django's.

python -m tests.ecosystem.suites [NAME ..]      (make test-neighbours-suites)

Each suite comes from the source distribution of the installed version and runs with Django's `db`
engine, with `hybrid`, and with a `hybrid` that forgets what its process wrote, as if each request
met another worker. What fails with ours and not with Django's is printed, and is a fault.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "suites"
ENGINES = {
    "db of Django": "django.contrib.sessions.backends.db",
    "hybrid": "django_jwtsession.backends.hybrid",
    "hybrid that forgets": "tests.ecosystem.forgetful",
}
LONGEST = 300  # seconds for one run


@dataclass(frozen=True)
class Suite:
    """Where a package's tests are: their settings, what is run, and folders for PYTHONPATH."""

    package: str
    settings: str
    tests: str
    paths: tuple[str, ...] = (".",)


SUITES = {
    "axes": Suite("django-axes", "tests.settings", "tests"),
    "cas": Suite("django-cas-ng", "tests.settings", "tests"),
    "formtools": Suite("django-formtools", "tests.settings", "tests"),
    "hijack": Suite("django-hijack", "hijack.tests.test_app.settings", "hijack/tests"),
    "loginas": Suite("django-loginas", "tests.settings", "tests"),
    "oidc": Suite("mozilla-django-oidc", "tests.settings", "tests"),
    "otp": Suite("django-otp", "test_project.settings", "src/django_otp", ("src", "test")),
    "session_security": Suite(
        "django-session-security", "session_security.tests.project.settings", "session_security"
    ),
    "two_factor": Suite("django-two-factor-auth", "tests.settings", "tests"),
}


def source_of(suite: Suite) -> Path:
    """Return the folder of a package's source distribution, fetched where it is not there yet."""
    name = f"{suite.package}-{version(suite.package)}"
    target = CACHE / name
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--no-binary", ":all:", "--dest", scratch]
        command.append(f"{suite.package}=={version(suite.package)}")
        subprocess.run(command, check=True, timeout=LONGEST)
        archive = next(Path(scratch).glob("*.tar.gz"))
        with tarfile.open(archive) as tar:
            tar.extractall(Path(scratch) / "unpacked", filter="data")
        next((Path(scratch) / "unpacked").iterdir()).rename(target)
    return target


def run(suite: Suite, source: Path, engine: str) -> tuple[int, set[str]]:
    """Return how many tests ran, and the names of those that failed."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        paths = [str(source / path) for path in suite.paths]
        env = {
            **os.environ,
            "SUITE_SETTINGS": suite.settings,
            "SUITE_ENGINE": engine,
            "DJANGO_SETTINGS_MODULE": "jwtsession_suite_settings",
            "PYTHONPATH": os.pathsep.join([*paths, str(Path(__file__).parent / "overlay")]),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts="]
        command += ["-o", "filterwarnings=ignore", f"--rootdir={source}", f"--junit-xml={report}"]
        command += ["-o", "python_files=test*.py", suite.tests]
        done = subprocess.run(
            command, cwd=source, env=env, capture_output=True, text=True, timeout=LONGEST
        )
        if not report.exists() or done.returncode not in (0, 1):
            raise SystemExit(
                f"{suite.package} did not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        cases = list(ET.parse(report).iter("testcase"))
    failed = [
        case for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    return len(cases), {f"{case.get('classname')}.{case.get('name')}" for case in failed}


def main(names: list[str]) -> int:
    """Run suites by name, all without any; return 1 where ours fails what Django's does not."""
    worse = 0
    for name in names or SUITES:
        suite = SUITES[name]
        source = source_of(suite)
        base: set[str] = set()
        for label, engine in ENGINES.items():
            count, failed = run(suite, source, engine)
            base = failed if label == "db of Django" else base
            new = sorted(failed - base)
            print(f"{suite.package} {version(suite.package)}, {label}: {count} tests, ", end="")
            print(f"{len(failed)} fail, {len(new)} of them not with Django's db", flush=True)
            for each in new:
                print(f"    {each}", flush=True)
            worse += len(new)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
