"""JSON as a token needs it: unique names, real numbers only, bounded depth."""

from __future__ import annotations

import json
import re
from typing import Any

from ..exceptions import BadToken, Reason

# Python's own limit depends on its version and on how deep the caller stands.
MAX_DEPTH = 100


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate name")
    return members


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_scan = json.JSONDecoder(parse_constant=_refuse).scan_once  # type: ignore[attr-defined]
_scan_unique = json.JSONDecoder(  # type: ignore[attr-defined]
    object_pairs_hook=_unique, parse_constant=_refuse
).scan_once
# Brackets, and strings to pass over those in them; one that never ends is passed over to its end,
# or each of its quotes would be tried again.
_brackets = re.compile(r'"(?:[^"\\]|\\.)*+"?|[{}\[\]]', re.DOTALL).finditer
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def dumps(members: dict[str, Any]) -> bytes:
    """Return `members` as compact JSON in UTF-8.

    Raises ValueError for NaN, Infinity, a lone surrogate, a circle, and what nests deeper than
    MAX_DEPTH; TypeError for what is no JSON type.
    """
    try:
        text = _encode(members)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if _is_too_deep(text):
        raise ValueError("nested too deep")
    return text.encode()


def loads(data: bytes) -> dict[str, Any]:
    """Return the JSON object in `data` (UTF-8).

    Raises BadToken (malformed) for anything that is not exactly one JSON object, for a name that
    stands twice (RFC 8259 section 4 leaves it open, RFC 7519 section 4 does not), for NaN and
    Infinity, and for nesting deeper than MAX_DEPTH.
    """
    try:
        text = data.decode()
        if len(text) > 2 * MAX_DEPTH and _is_too_deep(text):
            raise BadToken(Reason.MALFORMED)
        # Most tokens are one flat object; scanned without a hook, reading it takes 1 us of 11 less.
        flat = text.find("{", 1) < 0
        members, end = _scan(text, 0) if flat else _scan_unique(text, 0)
        if end != len(text) or type(members) is not dict:
            raise BadToken(Reason.MALFORMED)
        # One comma between any two members: with as many members left, no name stood twice. More
        # commas (in a string, in an array) prove nothing.
        if flat and text.count(",") != len(members) - 1:
            _scan_unique(text, 0)
    except (ValueError, StopIteration):
        raise BadToken(Reason.MALFORMED) from None
    return members


def _is_too_deep(text: str) -> bool:
    """Tell whether objects and arrays nest deeper than MAX_DEPTH, without parsing."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    depth = 0
    for found in _brackets(text):
        bracket = found[0]
        if bracket in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif bracket in "]}":
            depth -= 1
    return False
