"""Tokens that were read a moment ago: the same answers as ever, at less work."""

from __future__ import annotations

import marshal
import math
import time
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_jwtsession.backends.cookie import SessionStore
from django_jwtsession.backends.data import unpack
from django_jwtsession.conf import get_config
from django_jwtsession.exceptions import BadToken, Reason
from django_jwtsession.tokens.bounded import Recent
from tests.conftest import NOW

from .conftest import a_login, a_session, codec

DATA: dict[str, Any] = {"cart": [{"id": 1, "tags": ["a", None]}], "size": 1.5, "": True}


def refusal(reader: Any, token: str, now: float) -> Reason:
    with pytest.raises(BadToken) as refused:
        reader.recall(token, now)
    return refused.value.reason


def test_second_read_does_no_cryptography(algorithm: str) -> None:
    one = codec(algorithm)
    token = one.issue(a_login(d=DATA), NOW)
    claims = one.recall(token, NOW)
    one.keep_read(claims, DATA)
    with mock.patch.object(type(one), "open", side_effect=AssertionError):
        again = one.recall(token, NOW)
    assert again._replace(d=None) == claims._replace(d=None)
    assert marshal.loads(again.d) == DATA


def test_each_reader_has_data_of_its_own() -> None:
    one = codec("A256GCM")
    token = one.issue(a_login(d=DATA), NOW)
    for _ in range(3):
        data = one.recall(token, NOW).d
        assert data == DATA
        data["cart"][0]["tags"].append("changed")
        data["more"] = 1


def test_nothing_is_kept_of_a_token_for_claims_of_another() -> None:
    one = codec("A256GCM")
    token, other = (one.issue(a_login(d={"of": name}), NOW) for name in ("one", "other"))
    claims = one.recall(token, NOW)
    one.recall(other, NOW)
    one.keep_read(claims, {"of": "one"})
    one.keep_read(claims._replace(sid="A" * 22), {"of": "nobody"})
    assert one.recall(token, NOW).d == {"of": "one"}
    assert one.recall(other, NOW).d == {"of": "other"}


def test_data_of_a_token_that_opens_nothing_is_not_kept() -> None:
    one = codec("A256GCM")
    one.recall(one.issue(a_login(d=DATA), NOW), NOW)
    assert not one._recent


@pytest.mark.requirement("ASVS 9.2.1")
def test_time_is_judged_at_each_read() -> None:
    one = codec("A256GCM")
    token = one.issue(a_session(iat=NOW, exp=NOW + 60, nbf=NOW + 10), NOW)
    one.recall(token, NOW + 10)
    assert refusal(one, token, NOW + 60 + 16) == Reason.EXPIRED
    assert refusal(one, token, NOW - 16) == Reason.NOT_YET_VALID
    assert refusal(one, token, NOW - 6) == Reason.NOT_YET_VALID
    assert one.recall(token, NOW).exp == NOW + 60


def test_token_that_is_kept_begins_and_ends_at_the_moment_of_one_that_is_read() -> None:
    one = codec("A256GCM")
    token = one.issue(a_session(iat=NOW, exp=NOW + 60, nbf=NOW + 10), NOW)
    one.recall(token, NOW + 10)
    for now in (NOW - 5, NOW + 60 + 14.5):
        assert one.recall(token, now) == one.read(token, now)
    assert refusal(one, token, NOW - 5.5) == Reason.NOT_YET_VALID
    assert refusal(one, token, NOW + 60 + 15) == Reason.EXPIRED


def test_who_has_read_nothing_keeps_nothing() -> None:
    one = codec("A256GCM")
    one.keep_read(a_login(), DATA)
    assert not one._recent


def test_refused_tokens_are_refused_again(algorithm: str) -> None:
    one = codec(algorithm)
    token = one.issue(a_login(), NOW)
    one.recall(token, NOW)
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
    recent: Recent[int] = Recent(10)

    def look(key: str) -> int | None:
        return recent.get(key) or recent.older(key)

    for number in range(1, 100):
        recent.keep(str(number), number)
        assert look("1") == 1
        young = range(max(1, number - 8), number)
        assert [look(str(one)) for one in young] == list(young)
        assert len(recent) + len(recent._old) <= 20
    assert look("50") is None
    recent.forget()
    assert look("99") is None


def test_values_that_are_one_object_are_two_when_they_are_read() -> None:
    one = codec("A256GCM")
    shared: list[int] = []
    session = {"cart": shared, "wishes": shared}
    claims = a_session(d=session)
    token = one.issue(claims, NOW)
    one.keep(token, claims, session)
    data = marshal.loads(one.recall(token, NOW).d)
    data["cart"].append(1)
    assert data == {"cart": [1], "wishes": []}


@pytest.mark.parametrize(("size", "is_kept"), [(8000, True), (9000, False)])
def test_data_that_only_compression_fits_into_a_cookie_are_not_kept(
    size: int, is_kept: bool
) -> None:
    one, session = codec("A256GCM"), {"x": "y" * size}
    one.keep("token", a_session(d=session), session)
    assert ("token" in one._recent) is is_kept


def test_token_that_had_ended_when_it_was_issued_is_not_kept() -> None:
    one, claims = codec("A256GCM"), a_session(iat=NOW, exp=NOW)
    token = one.issue(claims, NOW)
    one.keep(token, claims, {"x": 1})
    assert refusal(one, token, NOW) == Reason.EXPIRED


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
    kept, theirs = here.recall(token, now), elsewhere.read(token, now)
    assert kept._replace(d=None) == theirs._replace(d=None)
    assert same(unpack(kept, get_config()), unpack(theirs, get_config()))


def test_other_processes_read_the_same_issuer_and_audience(settings: Any) -> None:
    settings.JWTSESSION = {"ISSUER": "https://a.example", "AUDIENCE": "b"}
    session = SessionStore()
    session["x"] = 1
    session.save()
    kept = get_config().codec._recent[session.token].claims
    elsewhere = type(get_config())(issuer="https://a.example", audience="b").codec
    assert kept._replace(d=None) == elsewhere.read(session.token, time.time())._replace(d=None)


def same(one: Any, other: Any) -> bool:
    """Compare with types, in order; NaN is itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and same(list(one.values()), list(other.values()))
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (isinstance(one, float) and math.isnan(one) and math.isnan(other))
