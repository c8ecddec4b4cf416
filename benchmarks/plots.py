"""Horizontal bars as SVG, written by hand: small, and readable on light and on dark pages."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from benchmarks.project import ENGINES
from benchmarks.report import Spread

LABELS, BARS, VALUE, GAP, ROW, TOP = 165, 130, 56, 10, 20, 52
OURS = frozenset(name for name, engine in ENGINES.items() if engine.ours)
STYLE = """
text{font:12px system-ui,sans-serif;fill:#1f2328}.page{fill:#fff}.head{font-weight:600}
.ours{fill:#0b7a5c}.peer{fill:#93a1b3}.value{fill:#57606a}.spread{stroke:#57606a}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#14181d}
.ours{fill:#2fb88c}.peer{fill:#66758a}.value{fill:#9aa6b2}.spread{stroke:#c5ced8}}
"""


class Panel(NamedTuple):
    """One column of bars; `spreads` are by the name of a row, and the same rows in each panel."""

    title: str
    spreads: dict[str, Spread]


def bars(title: str, panels: list[Panel]) -> str:
    """Return an SVG of `panels` side by side, each with a scale of its own that begins at 0."""
    names = list(panels[0].spreads)
    step = BARS + VALUE + GAP
    width, height = LABELS + step * len(panels), TOP + ROW * len(names) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="6"/>',
        _text(10, 20, title, "head"),
    ]
    for row, name in enumerate(names):
        label, kind = (f"{name} (ours)", "head") if name in OURS else (name, "name")
        parts.append(_text(10, TOP + ROW * row + 14, label, kind))
    for number, panel in enumerate(panels):
        parts += _panel(LABELS + step * number, panel)
    return "\n".join((*parts, "</svg>")) + "\n"


def _panel(left: int, panel: Panel) -> list[str]:
    parts = [_text(left, TOP - 8, panel.title, "value")]
    scale = BARS / max(1, *(spread.high for spread in panel.spreads.values()))
    for row, (name, spread) in enumerate(panel.spreads.items()):
        y = TOP + ROW * row
        length = max(spread.middle * scale, 1)
        kind = "ours" if name in OURS else "peer"
        low, high = (left + max(x * scale, 0) for x in (spread.low, spread.high))
        parts += [
            f'<rect class="{kind}" x="{left}" y="{y + 4}" width="{length:.1f}" height="12"/>',
            f'<path class="spread" d="M{low:.1f} {y + 10}H{high:.1f}"/>',
            _text(max(left + length, high) + 4, y + 14, f"{round(spread.middle):,}", "value"),
        ]
    return parts


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'
