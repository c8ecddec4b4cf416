"""The key of a session with a row: 40 characters, of which the sid is the first 22."""

from __future__ import annotations

import pytest

from django_jwtsession.tokens.session_key import LENGTH, join, new_key_part, split
from django_jwtsession.tokens.sid import new_sid, sid_from_uuid, uuid_from_sid


def test_key_has_forty_characters_and_splits_into_what_it_was_made_of() -> None:
    for _ in range(2000):
        sid, part = new_sid(), new_key_part()
        key = join(sid, part)
        assert len(key) == LENGTH == 40
        assert key[0] != "-"  # as options of a command line begin
        assert split(key) == (sid, part)
        assert sid_from_uuid(uuid_from_sid(sid)) == sid


@pytest.mark.requirement("ASVS 7.2.3")
def test_random_parts_differ_in_every_place() -> None:
    parts = [new_key_part() for _ in range(2000)]
    assert len(set(parts)) == 2000
    assert all(len(set(characters)) == 64 for characters in zip(*parts, strict=True))


def test_what_is_no_key_of_ours_names_no_row() -> None:
    good = join(new_sid(), new_key_part())
    bad = {
        "": "nothing",
        good[:-1]: "too short",
        good + "A": "too long",
        good + "\n": "a line",
        good[:-1] + "\n": "a line within",
        good[:-1] + "=": "padding",
        good[:-1] + "é": "no ASCII",
        good[:-1] + "+": "base64",
        good[:21] + "B" + good[22:]: "bits left over in the sid",
        good[:8] + "A" + good[9:]: "no version 4",
        good[:10] + "A" + good[11:]: "another variant",
        "a" * 32: "Django's own",
    }
    for key, why in bad.items():
        assert split(key) is None, why
