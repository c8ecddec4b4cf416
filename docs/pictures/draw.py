"""The pictures of docs/architecture.md and docs/rotation.md: `python docs/pictures/draw.py`.

The rooms come from pyproject.toml, whose arrows `make lint` holds; `make docs` draws anew.
"""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PYPROJECT = FOLDER.parents[1] / "pyproject.toml"
PACKAGE = FOLDER.parents[1] / "django_jwtsession"

_STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2933 }
.small { font-size: 12px; fill: #52606d }
.name { font-weight: 600 }
.box { fill: #f5f7fa; stroke: #9aa5b1 }
.row { fill: #e3f0ff; stroke: #4a7db5 }
.bad { fill: #ffe9e6; stroke: #c0392b }
.good { fill: #e6f6ec; stroke: #2d8a4e }
line, path { stroke: #52606d; fill: none }
.head { fill: #52606d; stroke: none }
"""

ROOMS = {
    "apps": "the app: registers checks and receivers",
    "management": "clearsessions; jwtsession keygen, inspect, audit, status, ...",
    "checks": "what manage.py check says",
    "contrib": "other packages: Channels and others",
    "templatetags": "what templates load",
    "admin": "what staff see: sessions, history, ending",
    "urls": "the pages' addresses",
    "well_known": "public keys",
    "decorators": "fresh_login",
    "pages": "what users see: login, sessions, step-up, JSON",
    "receivers": "Django's logins and logouts",
    "middleware": "the request's way in, the answer's way out",
    "backends": "the engines cookie, db, hybrid; epochs, rotation, policy",
    "revocation": "ending sessions, and knowing of it: the feed",
    "history": "what happened: events, mails",
    "models": "the tables, how they are asked and cleared",
    "devices": "who asks: address, browser, place",
    "conf": "JWTSESSION, every key checked",
    "policy": "what POLICY answers",
    "tokens": "from text to claims and back; knows no Django",
    "signals": "for projects",
    "exceptions": "one tree of errors",
}


def layers() -> list[list[str]]:
    """Return the rooms as pyproject.toml has them, the highest first."""
    contracts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]
    return [one.split(" | ") for one in contracts["contracts"][0]["layers"]]


def words(room: str) -> str:
    """Return what a room is for; of one that is new, what its file says of itself."""
    if room in ROOMS:
        return ROOMS[room]
    for path in (PACKAGE / room / "__init__.py", PACKAGE / f"{room}.py"):
        if path.is_file():
            said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            return said.partition("\n")[0].rstrip(".")[:80]
    return ""


def svg(width: int, height: int, title: str, parts: list[str]) -> str:
    """Return a picture with its title, which screen readers read."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f'<rect width="{width}" height="{height}" rx="8" fill="#fff"/>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def box(
    x: float, y: float, width: float, height: float, lines: list[str], kind: str = "box"
) -> str:
    """Return a box with lines of text, the first of which is a name."""
    out = [
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5"/>'
    ]
    for number, line in enumerate(lines):
        style = "name" if not number else "small"
        at = y + 20 + 17 * number
        out.append(f'<text class="{style}" x="{x + 10:g}" y="{at:g}">{escape(line)}</text>')
    return "".join(out)


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return an arrow that ends at a point, straight down or to a side."""
    if x == to_x:
        up = 8 if to_y > y else -8
        head = f"{to_x - 4:g},{to_y - up:g} {to_x + 4:g},{to_y - up:g} {to_x:g},{to_y:g}"
    else:
        back = 8 if to_x > x else -8
        head = f"{to_x - back:g},{to_y - 4:g} {to_x - back:g},{to_y + 4:g} {to_x:g},{to_y:g}"
    line = f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}"/>'
    return f'{line}<polygon class="head" points="{head}"/>'


def note(x: float, y: float, text: str) -> str:
    """Return a small line of text."""
    return f'<text class="small" x="{x:g}" y="{y:g}">{escape(text)}</text>'


# --- the rooms -----------------------------------------------------------------------------------


def rooms() -> str:
    """Return the rooms of the package, each of which imports from those below it alone."""
    parts, y = [], 16
    for layer in layers():
        width = (640 - 8 * (len(layer) - 1)) / len(layer)
        for place, name in enumerate(layer):
            kind = "row" if name == "backends" else "box"
            text = f"{name}: {words(name)}" if len(layer) == 1 else name
            parts.append(box(60 + place * (width + 8), y, width, 30, [text], kind))
        y += 38
    parts += [arrow(34, 20, 34, y - 10), f'<g transform="translate(24,{y / 2:g}) rotate(-90)">']
    parts += ['<text class="small" text-anchor="middle">imports</text></g>']
    return svg(720, y + 8, "The rooms of the package: imports point downwards", parts)


# --- the way of a request ------------------------------------------------------------------------

_IN = [
    ("Cookie", "a token, or a key of 40 characters"),
    ("SessionMiddleware", "of several cookies the good one; nothing is decoded yet"),
    ("first use: codec", "header, key, tag, claims, times: else anonymous, no query"),
    ("the feed", "ended, or of an earlier epoch? asked each second"),
    ("copy or row?", "hybrid: the copy, if it is young and the request only reads"),
    ("the row", "its epoch and its generation judge the token"),
    ("the view", "request.session is a dictionary, as ever"),
]
_OUT = [
    ("policy.respond()", "nothing, save, extend, re-issue, note as seen, or delete"),
    ("a save", "UPDATE .. WHERE id, version, epoch; else merge again"),
    ("ended meanwhile?", "the row or the feed once more, if the view took over 0.1 s"),
    ("codec.issue", "under this week's key"),
    ("Set-Cookie", "never on an answer that others may store"),
]


def request() -> str:
    """Return the way of a request, and that of its answer."""
    parts = [note(24, 26, "in"), note(404, 26, "out")]
    for x, steps in ((24, _IN), (404, _OUT)):
        for number, (name, what) in enumerate(steps):
            y = 36 + number * 76
            kind = "row" if name in ("the row", "a save") else "box"
            parts.append(box(x, y, 344, 52, [name, what], kind))
            if number:
                parts.append(arrow(x + 172, y - 24, x + 172, y))
    bottom = 36 + 6 * 76 + 26
    parts += [f'<path d="M368 {bottom} H386 V62 H396"/>', arrow(388, 62, 404, 62)]
    return svg(772, 36 + 7 * 76, "The way of a request through the package, and back", parts)


# --- a theft -------------------------------------------------------------------------------------

_THEFT = [
    (90, "good", "10:00", "browser has cookie 7", "row: 7"),
    (225, "bad", "10:20", "a thief copies 7", "both work"),
    (360, "good", "11:00", "an answer brings 8", "row: 7, 8 is on its way"),
    (495, "good", "11:01", "browser brings 8", "row: 8"),
    (630, "bad", "11:07", "the thief sends 7", "too old: an alarm"),
    (765, "bad", "11:07", "session ended", "for both; history, log, mail"),
]


def theft() -> str:
    """Return how a copied cookie gives itself away, on a line of time."""
    parts = [arrow(24, 70, 850, 70)]
    for x, kind, at, what, row in _THEFT:
        parts.append(f'<circle class="{kind}" cx="{x}" cy="70" r="9"/>')
        for y, text, style in ((48, at, "name"), (104, what, "small"), (124, row, "small")):
            words = f'<text class="{style}" text-anchor="middle" x="{x}" y="{y}">{escape(text)}'
            parts.append(f"{words}</text>")
    return svg(870, 146, "How the copy of a cookie is found by rotation", parts)


PICTURES = {"rooms.svg": rooms, "request.svg": request, "theft.svg": theft}


def main() -> None:
    """Write the pictures."""
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
