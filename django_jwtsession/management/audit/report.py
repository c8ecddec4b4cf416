"""The sheet as text, Markdown or JSON. The JSON's names and values are documented and stay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ... import __version__
from .requirement import STANDARD, Finding, Judged, Verdict
from .site import Site

# What the JSON looks like; a change of its names or values counts it up.
FORMAT = 1
FORMATS = ("text", "markdown", "json")
_SIGNS = {Verdict.MET: "met", Verdict.NOT_MET: "NOT MET", Verdict.YOURS: "yours"}


def write(site: Site, judged: list[Judged], form: str) -> str:
    """Return the sheet in one of FORMATS."""
    return {"text": _text, "markdown": _markdown, "json": _json}[form](site, judged)


def is_met(judged: list[Judged]) -> bool:
    """Tell whether there is nothing that is not met."""
    return not _counts(judged)[Verdict.NOT_MET]


def _counts(judged: list[Judged]) -> Counter[Verdict]:
    return Counter(one.finding.verdict for one in judged)


def _sum(judged: list[Judged]) -> str:
    found = _counts(judged)
    return ", ".join(f"{found[verdict]} {verdict.value}" for verdict in Verdict)


# --- text ----------------------------------------------------------------------------------------


def _text(site: Site, judged: list[Judged]) -> str:
    lines = [f"{STANDARD} V3.3, V7 and V9, of {site.engine_path}"]
    for one in judged:
        lines += ["", *_paragraph(one)]
    return "\n".join([*lines, "", f"{_sum(judged)}."])


def _paragraph(one: Judged) -> Iterator[str]:
    asked, found = one.requirement, one.finding
    yield f"{asked.number}  {_SIGNS[found.verdict]:7}  {asked.asks} (level {asked.level})"
    yield f"    {_reason(found)}"
    if found.write:
        yield f"    {'Write' if found.verdict is Verdict.NOT_MET else 'Do'}: {found.write}"
    yield from (f"    Beside it: {note}" for note in found.beside)


def _reason(found: Finding) -> str:
    return f"{found.setting}: {found.why}" if found.setting else found.why


# --- Markdown ------------------------------------------------------------------------------------


def _markdown(site: Site, judged: list[Judged]) -> str:
    lines = [
        f"# {STANDARD}: sessions",
        "",
        f"Engine `{site.engine_path}`, django_jwtsession {__version__}. {_sum(judged)}.",
        "",
        "| | Level | Asked | Verdict | Decided by | Why | What to write or do |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(_row, judged)])


def _row(one: Judged) -> str:
    asked, found = one.requirement, one.finding
    why = " ".join([found.why, *found.beside])
    setting = f"`{found.setting}`" if found.setting else ""
    cells = (
        asked.number,
        str(asked.level),
        asked.asks,
        f"**{found.verdict}**" if found.verdict is Verdict.NOT_MET else str(found.verdict),
        setting,
        why,
        found.write,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


# --- JSON ----------------------------------------------------------------------------------------


def _json(site: Site, judged: list[Judged]) -> str:
    found = _counts(judged)
    return json.dumps(
        {
            "format": FORMAT,
            "standard": STANDARD,
            "version": __version__,
            "engine": site.engine_path,
            "counts": {verdict.value: found[verdict] for verdict in Verdict},
            "requirements": list(map(_object, judged)),
        },
        indent=1,
    )


def _object(one: Judged) -> dict[str, Any]:
    asked, found = one.requirement, one.finding
    return {
        "id": asked.number,
        "level": asked.level,
        "asks": asked.asks,
        "verdict": found.verdict.value,
        "setting": found.setting,
        "why": found.why,
        "write": found.write,
        "beside": list(found.beside),
    }
