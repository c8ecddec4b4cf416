"""The tutorial, read block by block against the built wheel, and what it shows compared."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import time
import venv
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from http.cookiejar import CookieJar
from pathlib import Path
from unittest.mock import patch
from urllib.request import HTTPCookieProcessor, build_opener

import django
import pytest

from .running import ENVIRON, ROOT, apply, await_server, post, run

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"(.*?)^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n?)*)", re.MULTILINE)


class Reader:
    """Somebody who does what the tutorial says, block by block, and compares what it shows."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self.wheel = wheel
        self.python = folder / "env" / "bin" / "python"
        self.browser = build_opener(HTTPCookieProcessor(CookieJar()))
        agent = "Mozilla/5.0 (X11; Ubuntu; rv:149.0) Firefox/149.0"
        self.browser.addheaders = [("User-Agent", agent)]
        self.address = ""
        self.server: subprocess.Popen[bytes] | None = None

    def read(self, text: str) -> None:
        file = Path()
        for before, kind, block in _BLOCK.findall(text):
            named = re.findall(r"`(mysite/\w+\.py)`", before)
            file = self.folder / named[-1] if named else file
            if kind == "console":
                for command, shown in _COMMAND.findall(block):
                    self.do(command, shown)
            else:
                if not file.exists():
                    file.touch()
                apply(kind, block, file)

    def do(self, command: str, shown: str) -> None:
        if command.endswith("runserver"):
            return self.serve()
        words = shlex.split(command.replace(" django-jwtsession", f" {self.wheel}"))
        given = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
        words = [word for word in words if word.split("=")[0] not in given]
        assert words[0] == "python", command
        with patch.dict(ENVIRON, given):
            printed = run(self.python, *words[1:], cwd=self.folder)
        same = OutputChecker().check_output(shown, printed, ELLIPSIS | NORMALIZE_WHITESPACE)
        # Where the page shows nothing, nothing is printed, but what pip says of the machine.
        assert same or "pip" in words, f"{command}\n{printed}"
        if "revoke" in command:
            self.is_signed_out()

    def serve(self) -> None:
        """Start the server, sign in as the tutorial does, and see the page of the devices."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{probe.getsockname()[1]}"
        start = [str(self.python), "manage.py", "runserver", "--noreload", self.address[7:]]
        log = self.folder / "server.log"
        with log.open("w") as out:
            self.server = subprocess.Popen(
                start, cwd=self.folder, env=ENVIRON, stdout=out, stderr=subprocess.STDOUT
            )
        await_server(f"{self.address}/login/", log)
        home = post(
            self.browser,
            f"{self.address}/login/?next=/",
            username="ada",
            password="an-engine-of-1843",
        )
        assert "Hello ada" in home
        assert "Firefox 149 on Ubuntu" in self.page("/sessions/")
        assert "in the last minute" in self.page("/secret/")

    def is_signed_out(self) -> None:
        for _ in range(30):  # another process learns of it within a second
            if "Hello" not in self.page("/"):
                return
            time.sleep(0.1)
        pytest.fail("still signed in")

    def page(self, path: str) -> str:
        return str(self.browser.open(self.address + path, timeout=10).read().decode())

    def leave(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait()


@pytest.mark.packaging
def test_tutorial_does_what_it_says(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"Django=={django.__version__}", cwd=tmp_path)
    reader = Reader(tmp_path, wheel)
    try:
        reader.read(TUTORIAL)
    finally:
        reader.leave()
    assert reader.server is not None
