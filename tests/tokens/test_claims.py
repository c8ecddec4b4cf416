"""Claims of any type and value: read as they are, or BadToken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jwtsession.exceptions import BadToken, Reason
from django_jwtsession.tokens import strict_json
from django_jwtsession.tokens.claims import Claims, payload, validate
from tests.conftest import NOW
from tests.vectors.hostile_claims import WRONG

from .conftest import RING, a_login, codec

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.sampled_from([NOW, NOW + 60, "42", "A" * 22, "A" * 6, 1, 0]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def sealed(members: dict[str, Any]) -> str:
    key = RING.newest("A256GCM", NOW)
    assert key is not None
    return key.seal(strict_json.dumps(members)).decode()


@given(st.dictionaries(st.sampled_from(Claims._fields) | st.text(max_size=4), JSON, max_size=8))
@pytest.mark.requirement("RFC 8725 3.4")
def test_any_authentic_payload_is_refused_or_read(members: dict[str, Any]) -> None:
    whole = payload(a_login()) | members
    for offered in (members, whole):
        try:
            token = sealed(offered)
        except (ValueError, UnicodeEncodeError):
            continue  # no JSON: lone surrogates
        try:
            claims = codec().read(token, NOW)
        except BadToken:
            continue
        assert payload(claims) == {k: v for k, v in offered.items() if k in Claims._fields}


@pytest.mark.parametrize("name", Claims._fields)
@given(value=JSON)
def test_any_value_of_a_claim_is_refused_or_kept(name: str, value: Any) -> None:
    offered = payload(a_login()) | {name: value}
    try:
        claims = validate(offered, NOW, audience="42" if name == "aud" else None)
    except BadToken:
        return
    kept = getattr(claims, name)
    assert kept is value
    assert kept is not None
    assert type(kept) is not bool


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]]
)
def test_wrong_form_is_named_before_anything_else(name: str, value: Any) -> None:
    """Also for a token that has expired, for other reasons than its claims."""
    offered = payload(a_login(iat=1, exp=2)) | {name: value}
    with pytest.raises(BadToken) as refused:
        validate(offered, NOW, issuer="https://example.com")
    assert refused.value.reason == Reason.CLAIMS


LAST_SECOND = 253402300799  # of the year 9999


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW + 15, "nbf": NOW + 15},
        {"iat": NOW - 0.5, "exp": NOW + 0.5},
        {"exp": NOW - 14, "iat": NOW - 60},
        {"exp": LAST_SECOND, "mx": LAST_SECOND, "rv": LAST_SECOND, "auth_time": 0},
        {"sid": "A" * 21 + "Q", "jkt": "A" * 43},
    ],
    ids=str,
)
def test_claims_at_their_limits_are_read(claims: dict[str, Any]) -> None:
    offered = payload(a_login()) | claims
    assert payload(validate(offered, NOW)) == offered


@pytest.mark.parametrize(
    ("claims", "now", "reason"),
    [
        ({"iat": NOW + 15.5}, NOW, Reason.NOT_YET_VALID),
        ({"nbf": NOW + 15.5}, NOW, Reason.NOT_YET_VALID),
        ({"iat": NOW - 60, "exp": NOW - 15}, NOW, Reason.EXPIRED),
        ({"exp": NOW}, NOW, Reason.EXPIRED),  # and issued then
        ({"iat": 0, "exp": 0}, NOW, Reason.EXPIRED),
        ({"iat": LAST_SECOND, "exp": LAST_SECOND}, LAST_SECOND, Reason.EXPIRED),
        ({"iat": LAST_SECOND + 1, "exp": LAST_SECOND + 1}, LAST_SECOND, Reason.CLAIMS),
        ({"sid": "A" * 21 + "X"}, NOW, Reason.CLAIMS),
        ({"jkt": "A" * 42}, NOW, Reason.CLAIMS),
        ({"jkt": "A" * 44}, NOW, Reason.CLAIMS),
        ({"jkt": "A" * 42 + "+"}, NOW, Reason.CLAIMS),
        ({"jkt": [1] * 43}, NOW, Reason.CLAIMS),
        ({"jkt": None}, NOW, Reason.CLAIMS),
    ],
    ids=str,
)
def test_claims_beyond_their_limits_are_refused(
    claims: dict[str, Any], now: float, reason: Reason
) -> None:
    with pytest.raises(BadToken) as refused:
        validate(payload(a_login()) | claims, now)
    assert refused.value.reason == reason


def test_claims_of_others_are_ignored_null_or_not() -> None:
    offered = payload(a_login()) | {"jti": None, "x": [1], "": {}}
    assert validate(offered, NOW) == a_login()._replace(sid=offered["sid"])


def test_payload_leaves_out_what_is_not_set() -> None:
    claims = a_login(gen=0, d={})
    names = ["sid", "iat", "exp", "ep", "sub", "auth_time", "be", "ah", "gen", "d"]
    assert list(payload(claims)) == names
    assert validate(payload(claims), NOW) == claims
