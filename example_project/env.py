"""`.env`: what belongs to one machine, a NAME=value a line. The environment itself goes first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PATH = Path(__file__).resolve().parent.parent / ".env"


def read(path: Path = PATH) -> dict[str, str]:
    """Return the variables of the file and of the environment; no file is an empty one."""
    return {**_parse(path), **os.environ}


def add_missing(defaults: Mapping[str, str], path: Path = PATH) -> list[str]:
    """Write those of `defaults` that are set nowhere yet, and return their names.

    The file is readable by its owner alone: it holds the secret of all sessions.
    """
    known = read(path)
    missing = {name: value for name, value in defaults.items() if not known.get(name)}
    if missing:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text and not text.endswith("\n"):
            text += "\n"
        text += "".join(f"{name}={value}\n" for name, value in missing.items())
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    return list(missing)


def _parse(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    variables = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            variables[name.strip()] = value.strip().strip("'\"")
    return variables
