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


def test_claims_of_others_are_ignored_null_or_not() -> None:
    offered = payload(a_login()) | {"jti": None, "x": [1], "": {}}
    assert validate(offered, NOW) == a_login()._replace(sid=offered["sid"])


def test_payload_leaves_out_what_is_not_set() -> None:
    claims = a_login(gen=0, d={})
    names = ["sid", "iat", "exp", "ep", "sub", "auth_time", "be", "ah", "gen", "d"]
    assert list(payload(claims)) == names
    assert validate(payload(claims), NOW) == claims
