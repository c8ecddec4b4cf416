"""Write down what a site gets with the wheel, as an SBOM beside it: `python .ci/sbom.py dist`.

The wheel is installed by itself; what stands in the environment then is listed, with its licenses.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path


def main(folder: str) -> None:
    """Write the SBOM of the wheel in a folder beside it, as CycloneDX 1.6."""
    [wheel] = Path(folder).resolve().glob("*.whl")
    with tempfile.TemporaryDirectory() as scratch:
        # Without pip and setuptools, which are no part of it.
        venv.create(scratch, symlinks=True)
        python = Path(scratch, "bin", "python")
        _run("pip", "--python", python, "install", "--quiet", wheel)
        # Where the wheel lay on this machine, which pip notes, is nobody's affair.
        for note in Path(scratch).rglob("direct_url.json"):
            note.unlink()
        target = wheel.with_name("django-jwtsession.cdx.json")
        options = ("--output-reproducible", "--spec-version", "1.6", "--output-file", target)
        _run("cyclonedx_py", "environment", *options, python)


def _run(module: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
