"""The simulated fleet: no room is split, nobody is sent where there is no seat, nobody who lost theirs is forgotten."""

from __future__ import annotations

import pytest

from benchmarks.fleet_simulation import Fleet, Simulation, at_random

pytestmark = pytest.mark.computes
SMALL = Fleet(sessions=600, nodes=4, workers=3, seats=3, worker_kills=12, node_losses=3)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_fleet_promises_holds_through_failures_and_drains(seed: int) -> None:
    found = Simulation(Fleet(**{**vars(SMALL), "seed": seed})).run()
    assert found["placed"] + found["rejected"] == 600
    assert found["displaced"] > 10
    assert found["displaced"] == found["placed_again"] + found["told_full"] + found["left_meanwhile"]
    assert found["misplaced"] == found["split_rooms"] == found["refused_while_free"] == 0
    assert found["back_s"]["worker"]["p50"] < 5


def test_the_same_seed_is_the_same_day() -> None:
    assert Simulation(SMALL).run() == Simulation(SMALL).run()


def test_it_sees_what_is_placed_wrong() -> None:
    """Always the first, whoever is there already."""
    found = Simulation(SMALL, lambda loads: 0).run()
    assert found["misplaced"] > 100


def test_it_sees_who_is_refused_without_need() -> None:
    assert Simulation(SMALL, lambda loads: None).run()["refused_while_free"] == 600


def test_placing_by_load_leaves_fewer_late_than_chance() -> None:
    day = Fleet(sessions=2_000, nodes=4, workers=4)
    by_load, by_chance = Simulation(day).run(), Simulation(day, at_random(1)).run()
    assert by_load["late_percent"] < by_chance["late_percent"]
    assert by_load["rejected"] <= by_chance["rejected"]
