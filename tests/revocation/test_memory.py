"""What is known of a million ended sessions, and what that costs."""

from __future__ import annotations

import random
import tracemalloc

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
