"""Rotation, proved: random worlds of tabs, lost and late answers, crooked clocks, and a thief.

``ROTATION_EXAMPLES=5000 pytest tests/rotation/test_machine.py`` looks deeper; with
``ROTATION_SHRINK=1`` it makes what it finds smaller.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ..conftest import ENGINES
from .world import SKEW, Flight, Holder, World

EXAMPLES = int(os.environ.get("ROTATION_EXAMPLES", "0"))
# The worlds are the same on any database: on a real one some of them say that its statements work.
USUAL = 5 if "DATABASE_URL" in os.environ else 25
SETTINGS = settings(
    max_examples=EXAMPLES or USUAL,
    # The same worlds in every run; other ones where somebody asks for more.
    derandomize=not EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=True,
    # Shrinking a world takes minutes: where somebody looks deeper, and asks for it.
    phases=[Phase.generate, *([Phase.shrink] if os.environ.get("ROTATION_SHRINK") else [])],
    suppress_health_check=list(HealthCheck),
)
TABS = 4
processes = st.integers(0, 2)
rarely = st.sampled_from([False] * 7 + [True])
any_number = st.integers(0, 99)
proofs = st.sampled_from(["prove", "prove", "login"])
keys = st.sampled_from([None, None, "a", "b", "c"])
gaps = st.sampled_from([0.2, 1, 4, 16, 30, 61, 119])
short_gaps = st.sampled_from([0.2, 1, 2, 16, 61])
loads = st.lists(st.tuples(processes, keys, st.booleans()), min_size=1, max_size=TABS)
pauses = st.sampled_from([0.05, 1, 4, 14, 30, 61, 119, 310, 3600, 21600])


class HonestBrowser(RuleBasedStateMachine):
    """Four tabs over one jar, and nobody else: never logged out, nothing lost."""

    engine = "hybrid"

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.serial = 0
        self.streams: list[Flight] = []

    def teardown(self) -> None:
        self._settings.disable()
        self.world.close()

    @initialize(
        offsets=st.lists(st.floats(-SKEW / 2, SKEW / 2), min_size=3, max_size=3),
        window=st.sampled_from([60, 0]),
    )
    def set_up(self, offsets: list[float], window: int) -> None:
        """Clocks that differ; a session that is copied to its cookie, or is too big for it."""
        self._set_up(offsets, window)

    def _set_up(self, offsets: list[float], window: int) -> None:
        for process, offset in zip(self.world.processes, offsets, strict=True):
            process.offset = offset
        self._settings = override_settings(JWTSESSION={"REVALIDATE_AFTER": window})
        self._settings.enable()
        self.world.pass_time(61)  # the cookie of the login is trusted no longer

    def _begin(self, holder: Holder, process: int, prefetch: bool, key: str | None) -> Flight:
        self.serial += 1
        method = "POST" if key is not None and self.serial % 2 else "GET"
        flight = self.world.begin(holder, self.world.processes[process], method, prefetch)
        flight.key, flight.value = key, self.serial if self.serial % 4 else None
        return flight

    def _flight(self, number: int) -> Flight:
        return self.world.flights[number % len(self.world.flights)]

    # --- the browser -----------------------------------------------------------------------------

    @precondition(lambda self: len(self.world.flights) < TABS)
    @rule(
        process=processes,
        prefetch=rarely,
        key=keys,
        refresh=rarely,
        asks=rarely,
        read=st.booleans(),
    )
    def begin(
        self, process: int, prefetch: bool, key: str | None, refresh: bool, asks: bool, read: bool
    ) -> None:
        flight = self._begin(self.world.browser, process, prefetch, key)
        flight.refresh, flight.asks = refresh, asks
        if read:
            self.world.read(flight)

    @precondition(lambda self: len(self.world.flights) < TABS)
    @rule(process=processes, proof=proofs, key=keys, read=st.booleans())
    def begin_proof(self, process: int, proof: str, key: str | None, read: bool) -> None:
        """The user gives the password again, in a request that takes its time."""
        world = self.world
        flight = world.begin(world.browser, world.processes[process], "POST")
        self.serial += 1
        flight.proof, flight.key, flight.value = proof, key, self.serial
        if read:
            world.read(flight)

    @rule(process=processes, proof=proofs, held=rarely)
    def prove(self, process: int, proof: str, held: bool) -> None:
        """The same on a good line, while other tabs load."""
        world, before = self.world, len(self.world.answers)
        flight = world.begin(world.browser, world.processes[process], "POST")
        flight.proof = proof
        world.end(flight)
        if len(world.answers) > before and not held:
            world.deliver(before)

    @rule()
    def sign_in(self) -> None:
        """An answer of before a proof has overtaken it: the user is asked for the password."""
        self.world.sign_in()

    @precondition(lambda self: self.world.flights)
    @rule(number=any_number)
    def read(self, number: int) -> None:
        self.world.read(self._flight(number))

    @precondition(lambda self: self.world.flights)
    @rule(number=any_number, failed=rarely, lost=rarely)
    def end(self, number: int, failed: bool, lost: bool) -> None:
        self.world.end(self._flight(number), 500 if failed else 200, lost)

    @precondition(lambda self: self.world.answers)
    @rule(number=any_number)
    def deliver(self, number: int) -> None:
        self.world.deliver(number % len(self.world.answers))

    @precondition(lambda self: self.world.flights)
    @rule(number=any_number)
    def abort(self, number: int) -> None:
        """A navigation that never reached the server, or whose process died."""
        self.world.flights.remove(self._flight(number))

    @precondition(lambda self: len(self.world.flights) > 1)
    @rule(first=any_number, second=any_number, statements=st.integers(0, 4))
    def collide(self, first: int, second: int, statements: int) -> None:
        """Two requests at the same instant, one between two statements of the other."""
        outer, inner = self._flight(first), self._flight(second)
        if outer is inner:
            return
        if outer.key == inner.key:
            inner.key = None
        self.world.collide(outer, inner, statements)

    @rule(process=processes, key=keys)
    def visit(self, process: int, key: str | None) -> None:
        """A quick request on a good line: its answer overtakes those under way."""
        self._hurry(self.world.browser, process, key)

    def _hurry(self, holder: Holder, process: int, key: str | None) -> None:
        world, before = self.world, len(self.world.answers)
        world.end(self._begin(holder, process, False, key))
        if len(world.answers) > before:
            world.deliver(before)

    @precondition(lambda self: len(self.world.flights) < TABS)
    @rule(early=st.sampled_from([-11, -0.05, 0, 0.05, 4, 11, 60, 110]), on=loads)
    def burst(self, early: float, on: list[tuple[int, str | None, bool]]) -> None:
        """Tabs load at once, just when rotation is due or a little before."""
        world = self.world
        world.pass_time(max(0.0, world.until_rotation() - early))
        for process, key, read in on[: TABS - len(world.flights)]:
            flight = self._begin(world.browser, process, False, key)
            if read:
                world.read(flight)

    @rule(on=st.lists(st.tuples(gaps, processes, keys), min_size=2, max_size=5))
    def browse(self, on: list[tuple[float, int, str | None]]) -> None:
        """One page after the other, in one of the tabs."""
        for gap, process, key in on:
            self.world.pass_time(gap)
            self._hurry(self.world.browser, process, key)

    @rule(seconds=st.sampled_from([310, 700, 21600]), process=processes)
    def come_back(self, seconds: float, process: int) -> None:
        """Lunch: what is in the jar stays there, and is used afterwards."""
        self.world.pass_time(seconds)
        self._hurry(self.world.browser, process, None)
        self.world.sign_in()

    @rule(
        slow=processes,
        early=st.sampled_from([-4, 0, 4, 60]),
        reads=st.booleans(),
        held=st.booleans(),
        on=st.lists(st.tuples(short_gaps, processes, keys), min_size=2, max_size=4),
    )
    def overtake(
        self,
        slow: int,
        early: float,
        reads: bool,
        held: bool,
        on: list[tuple[float, int, str | None]],
    ) -> None:
        """A request from before the rotation is answered, or its answer arrives, after it; lunch.

        The known ways to be left with an old cookie all look like this.
        """
        world = self.world
        world.pass_time(max(0.0, world.until_rotation() - early))
        flight = self._begin(world.browser, slow, False, None)
        if reads:
            world.read(flight)
        if not held:
            world.end(flight)
        self.browse(on)
        if flight in world.flights:
            world.end(flight)
        self.come_back(700, slow)

    @precondition(lambda self: len(self.streams) < 2)
    @rule(process=processes)
    def open_stream(self, process: int) -> None:
        """A request that lasts for hours, and is answered without a cookie."""
        flight = self._begin(self.world.browser, process, False, None)
        self.world.flights.remove(flight)
        self.streams.append(flight)

    @precondition(lambda self: self.streams)
    @rule(number=any_number)
    def stream(self, number: int) -> None:
        """A page that must know asks again and again: its token is old by then, not stolen."""
        self.world.ask(self.streams[number % len(self.streams)])

    # --- time ------------------------------------------------------------------------------------

    @rule(seconds=pauses)
    def pause(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(process=processes, offset=st.floats(-SKEW / 2, SKEW / 2))
    def adjust_clock(self, process: int, offset: float) -> None:
        self.world.processes[process].offset = offset

    @invariant()
    def holds(self) -> None:
        self.world.check()


class HonestBrowserOfRows(HonestBrowser):
    """The same with the engine `db`, whose tokens have no generation: the row is always read."""

    engine = "db"

    @initialize(offsets=st.lists(st.floats(-SKEW / 2, SKEW / 2), min_size=3, max_size=3))
    def set_up(self, offsets: list[float]) -> None:
        self._set_up(offsets, 0)


class BrowserAndThief(HonestBrowser):
    """A thief copies the jar at any time and uses the copies at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.thieves: list[Holder] = []

    @precondition(lambda self: len(self.thieves) < 3 and self.world.browser.jar)
    @rule()
    def steal(self) -> None:
        self.thieves.append(Holder("thief", "198.51.100.7", self.world.browser.jar))

    @precondition(lambda self: self.thieves)
    @rule(number=any_number, process=processes, key=keys, keep=st.booleans())
    def use(self, number: int, process: int, key: str | None, keep: bool) -> None:
        """A quick request with the copy; a careful thief keeps the cookie of the answer."""
        thief = self.thieves[number % len(self.thieves)]
        copy, self.world.thief_came = thief.jar, True
        self._hurry(thief, process, key)
        if not keep:
            thief.jar = copy

    @precondition(lambda self: self.world.thief_came)
    @rule()
    def session_goes_on_or_is_ended_for_both(self) -> None:
        assert self.world.ended is (self.world.row() is None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("machine", [HonestBrowser, HonestBrowserOfRows, BrowserAndThief])
@pytest.mark.requirement("RFC 9700 4.14.2")
def test_rotation_finds_old_copies_and_nothing_else(machine: Any, settings: Any) -> None:
    settings.SESSION_COOKIE_AGE = 30 * 24 * 3600
    settings.SESSION_ENGINE = ENGINES[machine.engine]
    run_state_machine_as_test(machine, settings=SETTINGS)
