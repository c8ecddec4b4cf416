"""What the tests of the package share: commands, files, and a browser of a few lines."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import OpenerDirector, build_opener

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What the new site's processes see of this one's environment.
ENVIRON = {k: v for k, v in os.environ.items() if k not in ("DJANGO_SETTINGS_MODULE", "PYTHONPATH")}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command and return what it printed; a failure shows all of it."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRON,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def apply(kind: str, block: str, file: Path) -> None:
    """Do with `file` what a code block of the README says: patch it, or add to its end."""
    text = file.read_text(encoding="utf-8").replace("'", '"')  # as startproject may quote
    if kind == "diff":
        lines = [(line[:1], line[1:]) for line in block.splitlines()]
        old = "\n".join(rest for sign, rest in lines if sign != "+")
        new = "\n".join(rest for sign, rest in lines if sign != "-")
        assert text.count(old) == 1, f"{file.name} has no place for:\n{block}"
        text = text.replace(old, new)
    else:
        text += "\n" + block
    file.write_text(text, encoding="utf-8")


def await_server(url: str, log: Path) -> None:
    for _ in range(200):
        try:
            build_opener().open(url, timeout=10).close()
            return
        except URLError:
            time.sleep(0.1)  # another process: there is no clock to move
    pytest.fail(log.read_text())


def post(browser: OpenerDirector, url: str, **form: str) -> str:
    """Open a page, send its form back with `form` filled in, and return the page that follows."""
    page = browser.open(url, timeout=10).read().decode()
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[0]
    data = urlencode({"csrfmiddlewaretoken": token, **form}).encode()
    return str(browser.open(url, data, timeout=10).read().decode())
