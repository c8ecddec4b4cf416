"""JSON, read strictly: compared with a slow reader that is plainly right."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_jwtsession.exceptions import BadToken
from django_jwtsession.tokens import strict_json
from django_jwtsession.tokens.strict_json import MAX_DEPTH

NAMES = st.sampled_from(["a", "b", "c", ",", '"', "{", ":"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(',:{}[]"\\a', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=4),
    max_leaves=8,
)


def written(value: Any, space: str = "") -> str:
    """Return JSON in which a list of pairs is an object, with names that may stand twice."""
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        members = (f"{json.dumps(n)}{space}:{space}{written(v, space)}" for n, v in value)
        return "{" + f"{space},".join(members) + "}"
    if isinstance(value, list):
        return "[" + f",{space}".join(written(item, space) for item in value) + "]"
    return json.dumps(value)


def has_a_name_twice(value: Any) -> bool:
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(has_a_name_twice(v) for _, v in value)
    return isinstance(value, list) and any(map(has_a_name_twice, value))


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=5), st.sampled_from(["", " ", "\n"]))
@example([("a", 1), ("a", 1)], "")
@example([("a", ","), ("a", 1)], "")
@example([("a", [1, 2]), ("a", 1)], " ")
@example([("a", [[("b", 1), ("b", 2)]])], "")
def test_name_that_stands_twice_is_refused_at_any_depth(members: Any, space: str) -> None:
    text = written(members, space)
    if has_a_name_twice(members):
        with pytest.raises(BadToken):
            strict_json.loads(text.encode())
    else:
        assert strict_json.loads(text.encode()) == json.loads(text)


@given(st.text('{}[]",:\\ntrue01 a', max_size=30) | st.binary(max_size=30).map(repr))
@pytest.mark.requirement("RFC 8725 3.7")
def test_any_text_is_refused_or_read_as_python_reads_it(text: str) -> None:
    try:
        members = strict_json.loads(text.encode())
    except BadToken:
        return
    assert members == json.loads(text)


def nested(depth: int, opening: str, closing: str) -> bytes:
    """Return an object with `depth` levels in all."""
    inner = (opening * (depth - 1)) + "1" + (closing * (depth - 1))
    return f'{{"x":{inner}}}'.encode()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"":', "}")])
def test_depth_is_limited_the_same_however_deep_the_caller_stands(
    opening: str, closing: str
) -> None:
    def at_depth(frames: int) -> None:
        if frames:
            return at_depth(frames - 1)
        assert strict_json.loads(nested(MAX_DEPTH, opening, closing))
        for depth in (MAX_DEPTH + 1, 900, 2000):
            with pytest.raises(BadToken):
                strict_json.loads(nested(depth, opening, closing))

    at_depth(0)
    frame, used = sys._getframe(), 0
    while frame.f_back:
        frame, used = frame.f_back, used + 1
    at_depth(sys.getrecursionlimit() - used - MAX_DEPTH - 60)


def test_many_brackets_are_not_depth() -> None:
    flat = b'{"x":[' + b",".join([b"[{}]"] * 500) + b'],"y":"' + b"[{" * 500 + b'\\""}'
    assert len(strict_json.loads(flat)["x"]) == 500


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 400, 100_000])
def test_what_is_too_deep_to_read_is_not_written(depth: int) -> None:
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    if depth > MAX_DEPTH:
        with pytest.raises(ValueError, match="too deep"):
            strict_json.dumps({"x": value})
    else:
        assert strict_json.loads(strict_json.dumps({"x": value})) == {"x": value}


def test_circle_is_not_written() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="ircular"):
        strict_json.dumps({"x": value})


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":1,"a":2,"a":3}',
        '{"a":1,"b":2,"a":3}',
        '{"a":{"b":1},"a":2}',
        '{"a":{"b":1,"b":2}}',
        '{"a":[{"b":1,"b":2,"b":3}]}',
    ],
)
def test_name_that_stands_twice_is_refused_however_many_commas_there_are(text: str) -> None:
    with pytest.raises(BadToken):
        strict_json.loads(text.encode())


@pytest.mark.parametrize(("levels", "is_read"), [(100, True), (101, False)])
@pytest.mark.parametrize("at", [1, 50])
def test_depth_is_counted_beside_what_was_closed_before(
    levels: int, is_read: bool, at: int
) -> None:
    """`levels` of objects and arrays, the siblings of one level before it goes on."""
    siblings = '{"b":[]},[],' * 60
    text = '{"a":' + "[" * at + siblings + "[" * (levels - at - 1) + "]" * (levels - 1) + "}"
    if is_read:
        assert strict_json.loads(text.encode())["a"]
    else:
        with pytest.raises(BadToken):
            strict_json.loads(text.encode())
