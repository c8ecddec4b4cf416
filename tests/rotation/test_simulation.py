"""The model on a small scale; docs/rotation.md has the figures of longer runs of simulate.py."""

from __future__ import annotations

import random

import pytest

from .model import DAY, Habits, Rules, Simulation, Site


@pytest.mark.parametrize("tabs", [1, 5])
def test_honest_browser_raises_no_alarm(tabs: int) -> None:
    """Among uploads of 25 minutes, kills and proofs of identity, all more often than in life."""
    simulation = Simulation(Site(), random.Random(tabs), Habits(uploads=0.02, killed=0.02))
    simulation.browse(tabs)
    simulation.run(40 * DAY)
    assert not simulation.site.alarm
    assert simulation.count["epochs"] > 20
    # An answer that is seconds late may overtake, see docs/rotation.md: not one in fifty does.
    assert simulation.count["signed out: overtaken"] <= simulation.count["epochs"] / 50


def test_model_can_raise_an_alarm() -> None:
    """Without the rule for uploads it does."""
    rules = Rules(uploads=False)
    simulation = Simulation(Site(rules), random.Random(1), Habits(confirms=0.0, uploads=0.02))
    simulation.browse(1)
    simulation.run(40 * DAY)
    assert simulation.site.alarm


def test_thief_who_stays_is_found_or_shut_out_within_a_week() -> None:
    for seed in range(10):
        simulation = Simulation(Site(), random.Random(seed))
        simulation.browse(2)
        simulation.at(DAY, lambda simulation=simulation: simulation.steal(0.0, 600.0))  # type: ignore[misc]
        simulation.run(8 * DAY)
        assert simulation.site.alarm or simulation.shut_out_at
        assert simulation.count["copy of an earlier epoch opens, later"] == 0
