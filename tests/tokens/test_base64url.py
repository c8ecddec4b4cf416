"""base64url: one text for one value."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jwtsession.exceptions import BadToken, Reason
from django_jwtsession.tokens import base64url


@given(st.binary(max_size=300))
def test_what_is_encoded_is_decoded(data: bytes) -> None:
    text = base64url.encode(data)
    assert text == base64.urlsafe_b64encode(data).rstrip(b"=")
    assert base64url.decode(text) == data


@given(st.binary(max_size=40) | st.text("AQgwZ-_9+/= \n", max_size=12).map(str.encode))
def test_only_the_canonical_text_is_decoded(text: bytes) -> None:
    try:
        data = base64url.decode(text)
    except BadToken:
        return
    assert base64url.encode(data) == text


def test_refusal_says_malformed() -> None:
    with pytest.raises(BadToken) as refused:
        base64url.decode(b"AA==")
    assert refused.value.reason == Reason.MALFORMED


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x01", b"\x00\x01\x02"])
def test_any_other_last_character_is_refused(data: bytes) -> None:
    text = base64url.encode(data)
    read = []
    for last in range(256):
        try:
            read.append(base64url.decode(text[:-1] + bytes([last])))
        except BadToken:
            continue
    # 6, 4 and 2 bits of the last character are in use; "" with one character is nothing.
    assert len(read) == len(set(read)) == {0: 0, 1: 4, 2: 16, 3: 64}[len(data)]
