"""Write profile.json and hostile.json anew: ``python -m tests.vectors.make``.

Everything follows from constants, so that a second run gives the same files (but for compressed
tokens: zlib may find other bytes for the same data).
"""

from __future__ import annotations

import json
from pathlib import Path

from .hostile import hostile
from .profile import profile

HERE = Path(__file__).parent


def main() -> None:
    for name, content in (("profile", profile()), ("hostile", hostile())):
        text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
        (HERE / f"{name}.json").write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
