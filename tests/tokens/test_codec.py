"""Reading and issuing: algorithms side by side, mutations, what is remembered."""

from __future__ import annotations

import marshal
import math
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jwtsession.exceptions import BadKey, BadToken, Reason
from django_jwtsession.tokens import base64url, strict_json
from django_jwtsession.tokens.claims import Claims
from django_jwtsession.tokens.codec import MAX_LENGTH, Codec
from django_jwtsession.tokens.keys import ALGORITHMS, ED25519, WEEK, KeyRing
from tests.conftest import NOW
from tests.vectors.jose import pem

from .conftest import EC_KEY, ED_KEY, RING, SECRET, a_login, a_session, codec


def refusal(reader: Codec, token: str, now: float = NOW) -> Reason:
    with pytest.raises(BadToken) as refused:
        reader.read(token, now)
    return refused.value.reason


@pytest.mark.parametrize(
    "claims",
    [
        a_session(),
        a_login(),
        a_login(d={}),
        a_login(d={"größe": "€ 漢字 🔑", "": [None, True, 1.5, {"a": {}}]}),
        a_login(d={"x": "y" * 4096}),
        a_login(d="AAECAw"),
        a_login(sub="Ærø", rv=NOW + 60, gen=0, ver=2**63 - 1, big=1, nbf=NOW),
    ],
    ids=["anonymous", "login", "empty", "not ASCII", "4 KB", "text", "every claim"],
)
def test_token_is_read_as_it_was_issued(algorithm: str, claims: Claims) -> None:
    one = codec(algorithm)
    token = one.issue(claims, NOW)
    assert one.read(token, NOW) == claims
    assert one.read(token, NOW) == claims  # and when its header is known


@pytest.mark.parametrize(("old", "new"), list(permutations(ALGORITHMS, 2)))
def test_site_moves_from_one_algorithm_to_another(old: str, new: str) -> None:
    """First all servers read the new one, then all issue it, then the old one goes."""
    steps = [codec(old), codec(old, new), codec(new, old)]
    for before, after in pairwise(steps):
        for issuer in (before, after):
            token = issuer.issue(a_login(), NOW)
            assert before.read(token, NOW) == after.read(token, NOW)
    token = codec(old).issue(a_login(), NOW)
    assert codec(old).is_current(token, NOW)
    assert not codec(new, old).is_current(token, NOW)  # so the next response brings a new one
    if {old, new} == set(ED25519):  # two names of one algorithm
        assert codec(new).read(token, NOW)
    else:
        assert refusal(codec(new), token) == Reason.ALGORITHM


@given(st.data())
@pytest.mark.requirement("ASVS 9.1.1", "RFC 8725 3.3")
def test_mutated_token_is_refused(data: st.DataObject) -> None:
    one = codec(data.draw(st.sampled_from(ALGORITHMS)))
    token = one.issue(a_login(d={"a": 1}), NOW)
    at = data.draw(st.integers(0, len(token)))
    until = data.draw(st.integers(at, min(len(token), at + 8)))
    alphabet = st.sampled_from("AQgwabz019-_.=+/ \n\x00é")
    mutated = token[:at] + data.draw(st.text(alphabet, max_size=8)) + token[until:]
    if mutated == token:
        assert one.read(mutated, NOW)
    else:
        with pytest.raises(BadToken):
            one.read(mutated, NOW)


@given(st.data())
@pytest.mark.requirement("ASVS 9.1.1", "RFC 8725 3.3")
def test_token_put_together_from_two_is_refused(data: st.DataObject) -> None:
    one, other = data.draw(st.tuples(*[st.sampled_from(ALGORITHMS)] * 2))
    tokens = [codec(one).issue(a_login(), NOW), codec(other).issue(a_login(sub="1"), NOW)]
    pieces = [token.split(".") for token in tokens]
    size = len(pieces[0])
    picks = data.draw(st.lists(st.sampled_from([0, 1]), min_size=size, max_size=size))
    mixed = ".".join(
        pieces[pick][place] if place < len(pieces[pick]) else "" for place, pick in enumerate(picks)
    )
    if mixed not in tokens:
        with pytest.raises(BadToken):
            codec().read(mixed, NOW)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BadToken):
        codec().read(text, NOW)


def test_limit_of_length() -> None:
    """A token of 8192 characters is read; of one that is longer nothing is looked at."""
    one = codec("A256GCM")
    sizes = {}
    for size in range(5900, 6100):
        token = one.issue(a_session(d={"x": "y" * size}), NOW)
        sizes[len(token)] = token
    longest = max(length for length in sizes if length <= MAX_LENGTH)
    assert longest > MAX_LENGTH - 3
    assert one.read(sizes[longest], NOW)
    assert refusal(one, sizes[min(length for length in sizes if length > MAX_LENGTH)]) == "too_long"


@pytest.mark.parametrize("compress", [False, True])
def test_compression_may_be_switched_either_way(compress: bool) -> None:
    issuer = Codec(KeyRing([SECRET], "sessionid", compress=compress))
    reader = Codec(KeyRing([SECRET], "sessionid", compress=not compress))
    claims = a_login(d={"x": "the same again; " * 100})
    token = issuer.issue(claims, NOW)
    assert reader.read(token, NOW) == claims
    assert (len(token) < 1000) is compress
    assert not reader.is_current(token, NOW)


@pytest.mark.parametrize(("size", "shrinks"), [(256 * 1024, True), (256 * 1024 + 1, False)])
def test_limit_of_what_is_compressed_is_that_of_what_is_inflated(size: int, shrinks: bool) -> None:
    key = KeyRing([SECRET], "sessionid", compress=True).newest("A256GCM", NOW)
    assert key is not None
    assert (len(key.seal(bytes(size))) < 2000) is shrinks


@pytest.mark.parametrize(
    "rules", [{}, {"issuer": "https://example.com", "audience": "shop"}, {"audience": "shop"}]
)
def test_token_that_was_just_issued_is_read_without_work_and_as_elsewhere(
    rules: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, claims = codec(**rules), a_login(d={"a": [1]})
    token = one.issue(claims, NOW)
    elsewhere = codec(**rules).read(token, NOW)
    one.keep(token, claims, {"a": [1]})
    monkeypatch.setattr(one, "open", None)
    kept = one.recall(token, NOW)
    assert kept == elsewhere._replace(d=kept.d)
    assert isinstance(kept.d, bytes)
    assert marshal.loads(kept.d) == {"a": [1]}


def test_what_would_not_be_inflated_is_not_compressed() -> None:
    one = Codec(KeyRing([SECRET], "sessionid", compress=True))
    claims = a_session(d={"x": "y" * (strict_json.MAX_DEPTH + 256 * 1024)})
    assert len(one.issue(claims, NOW)) > 256 * 1024
    just = a_session(d={"x": "y" * (256 * 1024 - 100)})
    assert one.read(one.issue(just, NOW), NOW) == just


@pytest.mark.parametrize("alg", ["A256GCM", "HS256"])
def test_token_outlives_the_weeks_of_its_key(alg: str) -> None:
    claims = a_session(exp=NOW + 90 * 86400)
    token = codec(alg).issue(claims, NOW)
    for week in range(12):
        assert codec(alg).read(token, NOW + week * WEEK) == claims
    assert not codec(alg).is_current(token, NOW + WEEK)


@pytest.mark.parametrize("alg", ["A256GCM", "HS256"])
def test_process_that_runs_on_issues_under_the_key_of_each_week(alg: str) -> None:
    one = codec(alg)
    weeks = [NOW // WEEK * WEEK + offset for offset in (0, 5, WEEK - 1, WEEK, 2 * WEEK, 0)]
    heads = [one.issue(a_session(), now).split(".")[0] for now in weeks]
    assert heads == [codec(alg).issue(a_session(), now).split(".")[0] for now in weeks]
    assert heads[0] == heads[1] == heads[2] == heads[5]
    assert len(set(heads)) == 3


@pytest.mark.parametrize("alg", ["A256GCM", "HS256"])
def test_issuer_whose_clock_is_ahead_of_the_week(alg: str) -> None:
    end = (NOW // WEEK + 1) * WEEK
    token = codec(alg).issue(a_session(iat=end + 5, exp=end + 99), end + 5)
    assert codec(alg).read(token, end - 5)


@pytest.mark.requirement("RFC 8725 3.10")
def test_forged_headers_are_not_remembered() -> None:
    one = codec()
    for alg in ALGORITHMS:
        one.read(codec(alg).issue(a_session(), NOW), NOW)
    known = len(one._headers)
    for number in range(1000):
        with pytest.raises(BadToken):
            one.read(f"{number}" + codec("HS256").issue(a_session(), NOW), NOW)
        forged = codec("A256GCM").issue(a_session(), NOW - number * WEEK)
        with pytest.raises(BadToken):
            one.read(forged[:-2] + ("AA" if forged[-2:] != "AA" else "BA"), NOW)
    assert len(one._headers) == known == len(ALGORITHMS)


def test_headers_that_are_remembered_are_bounded() -> None:
    one = codec("HS256")
    key = RING.newest("HS256", NOW)
    assert key is not None
    plain = key.header
    try:
        for number in range(1000):  # other spellings, as another issuer with our keys may have them
            text = strict_json.dumps({"alg": "HS256", "typ": "ses+jwt", "kid": key.kid})
            key.header = base64url.encode(text.replace(b":", b":" + b" " * number, 1))
            one.read(one.issue(a_session(), NOW), NOW)
            assert len(one._headers) <= 256
    finally:
        key.header = plain


@pytest.mark.parametrize(
    "data", [{"x": math.nan}, {"x": math.inf}, {"x": "\ud800"}, {"x": object()}, {1.5: set()}]
)
def test_what_no_reader_would_take_is_not_issued(algorithm: str, data: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        codec(algorithm).issue(a_session(d=data), NOW)


@pytest.mark.requirement(
    "ASVS 9.2.3", "ASVS 9.2.4", "RFC 8725 3.8", "RFC 8725 3.9", "RFC 9700 4.10.2"
)
def test_issuer_and_audience_are_put_in_and_asked_for(algorithm: str) -> None:
    ours = codec(algorithm, issuer="https://example.com", audience="app")
    token = ours.issue(a_session(), NOW)
    read = ours.read(token, NOW)
    assert (read.iss, read.aud) == ("https://example.com", "app")
    assert refusal(codec(algorithm, issuer="x", audience="app"), token) == Reason.ISSUER
    for other in (None, "x"):
        strict = codec(algorithm, issuer="https://example.com", audience=other)
        assert refusal(strict, token) == Reason.AUDIENCE
    assert refusal(codec(algorithm, audience="app"), token) == Reason.ISSUER
    assert refusal(codec(algorithm), token) == Reason.ISSUER
    assert refusal(ours, codec(algorithm).issue(a_session(), NOW)) == Reason.ISSUER


@pytest.mark.parametrize(
    ("after", "reason"),
    [(-16, "not_yet_valid"), (-15, None), (3600 + 14.9, None), (3600 + 15, "expired")],
)
@pytest.mark.requirement("ASVS 9.2.1")
def test_leeway_is_a_quarter_of_a_minute(after: float, reason: str | None) -> None:
    token = codec().issue(a_session(), NOW)
    if reason is None:
        assert codec().read(token, NOW + after)
    else:
        assert refusal(codec(), token, NOW + after) == reason


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
@pytest.mark.requirement("RFC 8725 3.1")
def test_secret_alone_cannot_issue_public_signatures(alg: str) -> None:
    with pytest.raises(BadKey, match=f"none of the keys can issue {alg}"):
        Codec(KeyRing([SECRET], "sessionid"), [alg])


@pytest.mark.parametrize("place", ["", "sessions", "/acme"])
@pytest.mark.requirement("ASVS 9.2.3")
def test_token_opens_in_its_own_place_alone(algorithm: str, place: str) -> None:
    """With PEM keys, which are the same in all places, the claim tells them apart."""
    keys = [SECRET, pem(EC_KEY), pem(ED_KEY)]
    token = Codec(KeyRing(keys, "sessionid", place=place), [algorithm], place=place).issue(
        a_login(), NOW
    )
    for other in ("", "sessions", "/acme", "/ACME"):
        reader = Codec(KeyRing(keys, "sessionid", place=other), [algorithm], place=other)
        for _ in range(2):
            if other == place:
                assert reader.read(token, NOW).sub == "42"
                continue
            with pytest.raises(BadToken) as refused:
                reader.read(token, NOW)
            derived = algorithm in ("A256GCM", "HS256")
            assert refused.value.reason == ("unknown_key" if derived else "audience")
