"""Rows are sealed: what is altered, moved or foreign opens nothing."""

from __future__ import annotations

import timeit

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from django_jwtsession.exceptions import BadKey, BadToken, Reason
from django_jwtsession.tokens.seal import RowSeal
from tests.vectors.jose import b64, subkey

OLD, NEW = "an old secret of more than 32 bytes, a", b"a new secret of more than 32 bytes, a b"
DATA = b'{"cart":[1,2,3]}'
SID = b"place/sid/epoch"


def refused(seal: RowSeal, sealed: bytes, associated: bytes = SID) -> bool:
    try:
        seal.open(sealed, associated)
    except BadToken as error:
        return error.reason is Reason.ROW
    return False


def test_row_opens_under_its_own_place_sid_and_epoch_alone() -> None:
    seal = RowSeal([NEW])
    sealed = seal.seal(DATA, SID)
    assert seal.open(sealed, SID) == (DATA, True)
    for other in (b"", b"place/sid/epoch2", b"place/sid/epoc", b"Place/sid/epoch"):
        assert refused(seal, sealed, other)


def test_row_tells_whether_it_is_under_the_newest_secret() -> None:
    before, after = RowSeal([OLD]), RowSeal([NEW, OLD])
    assert after.open(before.seal(DATA, SID), SID) == (DATA, False)
    assert after.open(after.seal(DATA, SID), SID) == (DATA, True)
    assert refused(before, after.seal(DATA, SID))
    assert refused(RowSeal([NEW]), before.seal(DATA, SID))


def test_every_changed_byte_and_every_cut_is_refused() -> None:
    seal = RowSeal([NEW, OLD])
    sealed = seal.seal(DATA, SID)
    for place in range(len(sealed)):
        for bit in (1, 128):
            changed = bytearray(sealed)
            changed[place] ^= bit
            assert refused(seal, bytes(changed)), place
        assert refused(seal, sealed[:place]), place
    assert refused(seal, sealed + b"\0")
    for foreign in (b"", DATA, b"eyJhIjoxfQ:1abc:sig", bytes(100)):
        assert refused(seal, foreign)


def test_place_is_part_of_the_key() -> None:
    sealed = RowSeal([NEW], "tenant_a").seal(DATA, SID)
    for place in ("", "tenant_b", "tenant_a/"):
        assert refused(RowSeal([NEW], place), sealed)
    assert RowSeal([NEW], "tenant_a").open(sealed, SID) == (DATA, True)


@pytest.mark.parametrize(("place", "salt"), [("", "row"), ("tenant_a", "row/tenant_a")])
def test_sealed_row_is_what_the_module_says(place: str, salt: str) -> None:
    """By the RFCs alone: rows outlive releases, so their keys may not change unnoticed."""
    seal = RowSeal([OLD], place) if place else RowSeal([OLD])
    sealed = seal.seal(DATA, SID)
    version, mark, number = sealed[:1], sealed[1:7], sealed[7]
    assert version == b"\1"
    assert mark.decode() == b64(subkey(OLD, salt, "kid"))[:6]
    key = AESGCM(subkey(OLD, salt, f"row/{number}"))
    assert key.decrypt(sealed[8:20], sealed[20:], sealed[:8] + SID) == DATA


def test_nothing_of_the_data_shows_and_no_two_are_alike() -> None:
    seal = RowSeal([NEW])
    rows = {seal.seal(DATA * 5, SID) for _ in range(500)}
    assert len(rows) == 500
    assert not any(b"cart" in row for row in rows)
    assert len(seal._keys) > 100  # of 256, so that none seals more than AES-GCM allows
    assert NEW.decode() not in repr(vars(seal))


def test_keys_that_rows_name_are_bounded() -> None:
    seal = RowSeal([NEW, OLD])
    for number in range(3000):
        assert refused(seal, b"\1%06d" % number + bytes(40))
    assert not seal._keys


def test_no_secret_at_all_is_refused() -> None:
    with pytest.raises(BadKey, match="no secret"):
        RowSeal([])


def test_sealing_and_opening_take_no_more_than_ten_microseconds() -> None:
    seal, data = RowSeal([NEW]), bytes(300)
    for _ in range(3000):
        sealed = seal.seal(data, SID)  # all the keys
    for call in (lambda: seal.seal(data, SID), lambda: seal.open(sealed, SID)):
        assert min(timeit.repeat(call, number=200, repeat=20)) / 200 < 10e-6
