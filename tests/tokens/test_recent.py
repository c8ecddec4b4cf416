"""Tokens that were read a moment ago: the same answers as ever, at less work."""

from __future__ import annotations

import math
import time
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_jwtsession.backends.cookie import SessionStore
from django_jwtsession.conf import get_config
from django_jwtsession.exceptions import BadToken, Reason
from django_jwtsession.tokens.cache import RecentTokens
from django_jwtsession.tokens.claims import Claims
from tests.conftest import NOW

from .conftest import a_login, a_session, codec

DATA: dict[str, Any] = {"cart": [{"id": 1, "tags": ["a", None]}], "size": 1.5, "": True}


def refusal(reader: Any, token: str, now: float) -> Reason:
    with pytest.raises(BadToken) as refused:
        reader.read(token, now)
    return refused.value.reason


def test_second_read_does_no_cryptography(algorithm: str) -> None:
    one = codec(algorithm)
    claims = a_login(d=DATA)
    token = one.issue(claims, NOW)
    assert one.read(token, NOW) == claims
    with mock.patch.object(type(one), "open", side_effect=AssertionError):
        assert one.read(token, NOW) == claims


def test_each_reader_has_data_of_its_own() -> None:
    one = codec("A256GCM")
    token = one.issue(a_login(d=DATA), NOW)
    for _ in range(3):
        data = one.read(token, NOW).d
        assert data == DATA
        data["cart"][0]["tags"].append("changed")
        data["more"] = 1


@pytest.mark.requirement("ASVS 9.2.1")
def test_time_is_judged_at_each_read() -> None:
    one = codec("A256GCM")
    token = one.issue(a_session(iat=NOW, exp=NOW + 60, nbf=NOW + 10), NOW)
    one.read(token, NOW)
    assert refusal(one, token, NOW + 60 + 16) == Reason.EXPIRED
    assert refusal(one, token, NOW - 16) == Reason.NOT_YET_VALID
    assert refusal(one, token, NOW - 6) == Reason.NOT_YET_VALID
    assert one.read(token, NOW).exp == NOW + 60


def test_refused_tokens_are_refused_again(algorithm: str) -> None:
    one = codec(algorithm)
    token = one.issue(a_login(), NOW)
    one.read(token, NOW)
    at = len(token) - 10
    forged = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    for _ in range(2):
        assert refusal(one, forged, NOW) == Reason.SIGNATURE
    bad = one.issue(a_login(sub=""), NOW)
    for _ in range(2):
        assert refusal(one, bad, NOW) == Reason.CLAIMS


def test_another_codec_knows_nothing_of_it() -> None:
    token = codec("A256GCM").issue(a_login(), NOW)
    assert refusal(codec("HS256"), token, NOW) == Reason.ALGORITHM


def test_no_more_than_twice_the_size_are_kept_and_those_in_use_stay() -> None:
    recent, claims = RecentTokens(size=10), a_session()
    for number in range(100):
        recent.put(f"token {number}", claims)
        assert recent.get("token 0") == claims
        assert sum(recent.get(f"token {n}") is not None for n in range(number - 9, number)) == min(
            9, number
        )
    assert len(recent._young) + len(recent._old) <= 20
    assert recent.get("token 50") is None


def test_values_that_are_one_object_are_two_when_they_are_read() -> None:
    one = codec("A256GCM")
    shared: list[int] = []
    claims = a_session(d={"cart": shared, "wishes": shared})
    token = one.issue(claims, NOW)
    one.keep(token, claims)
    data = one.read(token, NOW).d
    data["cart"].append(1)
    assert data == {"cart": [1], "wishes": []}


def test_data_that_only_compression_fits_into_a_cookie_are_not_kept() -> None:
    recent = RecentTokens()
    recent.put("small", a_session(d={"x": "y" * 8000}))
    recent.put("large", a_session(d={"x": "y" * 9000}))
    assert recent.get("small") is not None
    assert recent.get("large") is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), values, max_size=5), st.booleans())
@settings(deadline=None)
def test_other_processes_read_the_same(data: dict[str, Any], logged_in: bool) -> None:
    """What this process keeps of a token that it issued is what the token says."""
    session = SessionStore()
    session.update(data)
    if logged_in:
        session["_auth_user_id"] = "1"
        session["_auth_user_hash"] = "ab" * 32
    session.save()
    here = get_config().codec
    elsewhere = type(get_config())().codec
    token, now = session.token, time.time()
    kept = here._recent.get(token)
    assert kept is not None
    assert same(kept, elsewhere.read(token, now))


def test_other_processes_read_the_same_issuer_and_audience(settings: Any) -> None:
    settings.JWTSESSION = {"ISSUER": "https://a.example", "AUDIENCE": "b"}
    session = SessionStore()
    session["x"] = 1
    session.save()
    kept = get_config().codec._recent.get(session.token)
    elsewhere = type(get_config())(issuer="https://a.example", audience="b").codec
    assert kept == elsewhere.read(session.token, time.time())


def same(one: Any, other: Any) -> bool:
    """Compare with types, in order; NaN is itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and same(list(one.values()), list(other.values()))
    if isinstance(one, list | Claims):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (isinstance(one, float) and math.isnan(one) and math.isnan(other))
