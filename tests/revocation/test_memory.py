"""What is known of a million ended sessions, and what that costs."""

from __future__ import annotations

import random
import tracemalloc
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jwtsession.revocation.entries import FOR_GOOD, Line
from django_jwtsession.revocation.memory import Memory, _slow_digest
from django_jwtsession.tokens.sid import new_sid


def line(sid: str, epoch: int | None = None, ends: float = 2e9) -> Line:
    return Line(1, "s", sid, epoch, None, "", "test", ends, 1.0)


def test_an_ended_session_takes_forty_bytes_at_most() -> None:
    sids = [new_sid() for _ in range(100_000)]
    tracemalloc.start()
    memory = Memory()
    empty, _ = tracemalloc.get_traced_memory()
    memory.append((sid, None, 2e9) for sid in sids)
    assert all(memory.epoch_of(sid) == FOR_GOOD for sid in sids[::100])
    full, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (full - empty) / len(sids) < 40


def test_memory_is_as_a_dictionary_would_be() -> None:
    seed = random.Random(7)
    memory, plain = Memory(), dict[str, int]()
    sids = [new_sid() for _ in range(300)]
    for _ in range(2000):
        sid, epoch = seed.choice(sids), seed.randrange(100)
        if seed.random() < 0.5:
            memory.append([(sid, epoch, 2e9)])
        else:
            memory.put([line(sid, epoch)])
        plain[sid] = max(epoch, plain.get(sid, 0))
        asked = seed.choice(sids)
        assert memory.epoch_of(asked) == plain.get(asked)
    assert memory.epoch_of(new_sid()) is None
    assert len(memory) == 2000


def test_lines_that_end_are_counted_and_forgotten_a_part_at_a_time() -> None:
    memory = Memory()
    memory.put(line(new_sid(), ends=1000.5 + number) for number in range(500))
    assert memory.sessions_after(1250) == 250
    for part in range(5):
        memory.forget_before(1250, part, 5)
    assert len(memory) == memory.sessions_after(0) == 250


def test_digest_of_platforms_with_short_hashes_has_64_bits_too() -> None:
    assert len({_slow_digest(new_sid()) >> 32 for _ in range(100)}) == 100
    digests = [_slow_digest(new_sid()) for _ in range(1000)]
    assert -(2**63) <= min(digests) < 0 < max(digests) < 2**63  # as those of hash()
    assert max(digests) - min(digests) > 2**63


# --- all sessions of a user, or of everyone ------------------------------------------------------


def end(name: str, before: float | None, keep: str = "", *, pk: int = 1, ends: float = 2e9) -> Line:
    """Return the line that ends a user's sessions, everyone's for no name."""
    return Line(pk, "u" if name else "e", name, None, before, keep, "test", ends, 1.0)


def known(memory: Memory, sub: str) -> dict[str, float]:
    return {keep: one.before for keep, one in memory.user_ends(sub)}


def test_ends_of_a_user_and_of_everyone_are_known_by_the_session_that_stays() -> None:
    memory = Memory()
    assert known(memory, "7") == {}
    memory.put([end("7", 10.0), end("7", 20.0, "kept"), end("8", 30.0), end("9", None)])
    assert known(memory, "7") == {"": 10.0, "kept": 20.0}
    assert known(memory, "8") == {"": 30.0}
    assert known(memory, "9") == known(memory, "") == {}
    assert len(memory) == 3
    memory.put([end("", 40.0, "staff"), line(new_sid())])
    assert known(memory, "9") == {"staff": 40.0}
    assert known(memory, "8") == {"": 30.0, "staff": 40.0}
    assert len(memory) == 5


@pytest.mark.parametrize("name", ["7", ""])
@pytest.mark.parametrize("order", [1, -1])
def test_later_moment_counts_whichever_line_came_first(name: str, order: int) -> None:
    memory = Memory()
    lines = [end(name, 10.0, pk=5), end(name, 20.0, pk=3)]
    for one in lines[::order]:
        memory.put([one])
    assert known(memory, "7") == {"": 20.0}
    assert memory.superseded == {5}
    assert len(memory) == 1


@pytest.mark.parametrize("name", ["7", ""])
def test_line_is_superseded_if_another_has_its_place(name: str) -> None:
    memory = Memory()
    older, newer, kept = end(name, 10.0, pk=5), end(name, 20.0, pk=3), end(name, 10.0, "kept", pk=4)
    assert not memory.is_superseded(older)
    memory.put([older, newer, kept])
    assert memory.is_superseded(older)
    assert not memory.is_superseded(newer)
    assert not memory.is_superseded(kept)
    assert not memory.is_superseded(end("8" if name else "7", 10.0, pk=6))
    assert not memory.is_superseded(end(name, None, pk=6))
    assert not memory.is_superseded(line(new_sid()))


@pytest.mark.parametrize("name", ["7", ""])
def test_two_ends_say_all_however_many_there_were(name: str) -> None:
    """The newest, and for the session that it keeps the newest one that keeps another."""
    memory = Memory()
    lines = [end(name, float(each), f"kept-{each % 5}", pk=each) for each in range(1, 100)]
    memory.put(lines)
    assert known(memory, "7") == {"kept-4": 99.0, "kept-3": 98.0}
    assert memory.superseded == set(range(1, 98))
    assert len(memory) == 2
    assert [memory.is_superseded(each) for each in lines[-3:]] == [True, False, False]


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["", "a", "b", "c"])), max_size=8))
def test_nobody_is_judged_otherwise_by_the_ends_that_stay(ends: list[tuple[int, str]]) -> None:
    memory = Memory()
    memory.put(end("7", float(before), keep, pk=pk) for pk, (before, keep) in enumerate(ends))
    stayed = known(memory, "7")
    for sid, login in product("abcd", range(7)):
        by_all = any(login < before and sid != keep for before, keep in ends)
        assert by_all == any(login < stayed[keep] and sid != keep for keep in stayed)


def test_latest_end_is_that_of_any_user_or_of_everyone() -> None:
    memory = Memory()
    assert memory.latest_end() == 0.0
    memory.put([end("7", 10.0), end("8", 30.0, "kept"), end("8", 20.0)])
    assert memory.latest_end() == 30.0
    memory.put([end("", 40.0)])
    assert memory.latest_end() == 40.0


def test_ends_of_users_are_counted_and_forgotten_when_no_token_needs_them() -> None:
    memory = Memory()
    memory.put([end("7", 10.0, ends=100.0), end("7", 11.0, "kept", ends=200.0)])
    memory.put(
        [end("8", 12.0, ends=100.0), end("", 13.0, ends=100.0), end("", 14.0, "x", ends=300.0)]
    )
    assert [memory.users_after(moment) for moment in (99, 100, 199, 200, 300)] == [5, 2, 2, 1, 0]
    memory.forget_before(99.0)
    assert len(memory) == 5
    memory.forget_before(100.0)
    assert known(memory, "7") == {"kept": 11.0, "x": 14.0}
    assert known(memory, "8") == {"x": 14.0}
    assert list(memory.users) == ["7"]
    memory.forget_before(300.0)
    assert len(memory) == 0


def test_every_end_of_a_session_is_told() -> None:
    memory, sids = Memory(), [new_sid() for _ in range(50)]
    memory.append([(new_sid(), 1, 2e9) for _ in range(2000)])
    for sid in sids:
        assert memory.epochs_of(sid) == []
        memory.put([line(sid, 7), line(sid, 3)])
        memory.append([(sid, 5, 2e9), (sid, None, 2e9)])
        assert sorted(memory.epochs_of(sid)) == [3, 5, 7, FOR_GOOD]
        assert memory.epoch_of(sid) == FOR_GOOD


def test_everything_is_forgotten_at_its_moment_and_in_one_go_if_no_part_is_named() -> None:
    memory = Memory()
    memory.append((new_sid(), None, 1000) for _ in range(2000))
    memory.put([line(new_sid(), ends=1000.5), line(new_sid(), ends=1e12)])
    memory.forget_before(999)
    assert len(memory) == 2002
    memory.forget_before(1000)
    assert len(memory) == 2
    memory.forget_before(1001)
    assert len(memory) == 1
    assert memory.sessions_after(2**32 - 2) == 1  # what ends later than that is never forgotten


def test_lock_of_a_parent_process_is_none_of_the_forks() -> None:
    memory = Memory()
    memory._lock.acquire()
    memory.unlock()
    assert memory.epoch_of(new_sid()) is None
