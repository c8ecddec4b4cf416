"""Payloads that no reader may take, though their tokens are authentic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .jose import b64, compact
from .site import ANONYMOUS, LOGIN, NOW

PayloadCase = tuple[str, str, bytes]  # name, reason, payload

_TIMES: tuple[Any, ...] = (-1, -0.5, 253402300800, 10**400, True, "1790000000", [], {}, None)
_NUMBERS: tuple[Any, ...] = (-1, 1.0, 2**63, True, "1", [], None)
_TEXTS: tuple[Any, ...] = (1, True, [], {}, None)

WRONG: dict[str, tuple[Any, ...]] = {
    "sid": ("", "A" * 21, "A" * 23, "A" * 21 + "B", "A" * 21 + "=", "A" * 20 + "é" + "A", *_TEXTS),
    "iat": _TIMES,
    "exp": _TIMES,
    "nbf": _TIMES,
    "iss": _TEXTS,
    "aud": (1, True, {}, [1], ["x", None], [["x"]], None),
    "sub": ("", "a\x00b", "\x00", *_TEXTS),
    "auth_time": _TIMES,
    "be": ("", "A" * 5, "A" * 7, "A=AAAA", "é" * 6, *_TEXTS),
    "ah": ("", "AA==", "A A", "é", *_TEXTS),
    "ep": _NUMBERS,
    "pt": _TIMES,
    "sk": ("", "A" * 17, "A" * 19, "A" * 17 + "=", "A" * 17 + "é", *_TEXTS),
    "mx": _TIMES,
    "rv": _TIMES,
    "gen": _NUMBERS,
    "ver": _NUMBERS,
    "d": (1, True, [], [{}], None),
    "big": (0, 2, 1.0, True, "1", None),
}


def payload_cases() -> Iterator[PayloadCase]:
    for name, values in WRONG.items():
        for value in values:
            yield f"{name} is {str(value)[:30]!r}", "claims", compact(LOGIN | {name: value})
    for name in ("sid", "iat", "exp", "ep"):
        yield f"no {name}", "claims", compact({k: v for k, v in LOGIN.items() if k != name})
    yield "no claims", "claims", b"{}"
    yield "sub without auth_time", "claims", compact(ANONYMOUS | {"sub": "42"})
    yield "auth_time without sub", "claims", compact(ANONYMOUS | {"auth_time": NOW})
    yield "pt without auth_time", "claims", compact(ANONYMOUS | {"pt": NOW})
    for place in ("tenant", 1, True, [], {}, None):
        yield f"place is {place!r}", "audience", compact(LOGIN | {"place": place})
    yield from _times()
    yield from _json()


def _times() -> Iterator[PayloadCase]:
    day = 86400
    for name, reason, claims in (
        ("expired", "expired", {"exp": NOW - 15}),
        ("expired long ago", "expired", {"iat": 0, "exp": 1}),
        ("ends before it begins", "expired", {"iat": NOW, "exp": NOW - 1}),
        ("ends as it begins", "expired", {"iat": NOW, "exp": NOW}),
        ("of the future", "not_yet_valid", {"iat": NOW + 16, "exp": NOW + day}),
        ("not before tomorrow", "not_yet_valid", {"nbf": NOW + day}),
    ):
        yield name, reason, compact(LOGIN | claims)
    for text, reason in (
        ("NaN", "malformed"),
        ("Infinity", "malformed"),
        ("-Infinity", "malformed"),
        ("1e999", "claims"),
        ("-1e999", "claims"),
        ("1e30", "claims"),
        ("01", "malformed"),
        ("+1", "malformed"),
        ("0x10", "malformed"),
        (".5", "malformed"),
        ("1.", "malformed"),
        ("9" * 400, "claims"),
        ("9" * 5000, "malformed"),
    ):
        for name in ("exp", "auth_time"):
            raw = compact(LOGIN | {name: "?"}).replace(b'"?"', text.encode())
            yield f"{name} is {text[:12]}, {len(text)} long", reason, raw


def _json() -> Iterator[PayloadCase]:
    good = compact(LOGIN)
    deep = good[:-1] + b',"d":{"x":'
    bad = {
        "sid twice": good[:-1] + b',"sid":"' + b"A" * 22 + b'"}',
        "sub twice, the same": good[:-1] + b',"sub":"42"}',
        "sub twice, escaped": good[:-1] + rb',"s\u0075b":"1"}',
        "sub twice, white space": good[:-1] + b', "sub" : "1" }',
        "a name of others twice": good[:-1] + b',"x":1,"x":1}',
        "a name twice, commas in text": good[:-1] + b',"x":",,,","x":1}',
        "a name twice in d": good[:-1] + b',"d":{"a":1,"a":2}}',
        "a name twice, deep in d": good[:-1] + b',"d":{"a":[{"b":{"c":1,"c":1}}]}}',
        "an array": b"[" + good + b"]",
        "text": b'"' + b64(good).encode() + b'"',
        "null": b"null",
        "a number": b"1",
        "nothing": b"",
        "a space before": b" " + good,
        "a line end after": good + b"\n",
        "two objects": good + good,
        "a comma too many": good[:-1] + b",}",
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16-le"),
        "no UTF-8": good.replace(b'"42"', b'"\xff\xfe"'),
        "a surrogate in UTF-8": good.replace(b'"42"', b'"\xed\xa0\x80"'),
        "a control character in text": good.replace(b'"42"', b'"\x01"'),
        "NUL at the end": good + b"\x00",
        "101 levels": deep + b"[" * 99 + b"]" * 99 + b"}}",
        "2000 levels": deep + b"[" * 2000 + b"]" * 2000 + b"}}",
        "900 levels of objects": deep + b'{"":' * 900 + b"1" + b"}" * 902,
        "5000 brackets that never end": deep + b"[" * 5000,
        "a string that never ends": deep + b'"' + rb"\"" * 2500 + b"[" * 101,
        "a pickle": b"\x80\x05}.",
    }
    for name, raw in bad.items():
        yield f"payload: {name}", "malformed", raw
    lone = good.replace(b'"42"', rb'"\ud800"')
    yield "sub is a lone surrogate", "claims", lone
