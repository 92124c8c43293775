"""Who gives way where a machine is too slow for all: the last who came, for a while, and only where it helps."""

from __future__ import annotations

import pytest

from realtime_dub.media import MS, NS
from realtime_dub.pipeline import precedence
from realtime_dub.pipeline.precedence import Order, PlaceInOrder

pytestmark = pytest.mark.computes

TICK_NS = 40 * MS


class Visitors:
    """Places in virtual time: each wants a mouth per tick."""

    def __init__(self, count: int) -> None:
        self.order = Order()
        self.places = [self.order.take_place() for _ in range(count)]
        self.now_ns = 1_000 * NS

    def tick(self, *in_time: bool | None, ticks: int = 1) -> None:
        """None: that one wants none."""
        for _ in range(ticks):
            for place, made in zip(self.places, in_time, strict=True):
                if made is not None and not place.yields(self.now_ns):
                    place.wanted(made, self.now_ns)
            self.now_ns += TICK_NS

    def tick_crowded(self, most: int, ticks: int) -> None:
        """The machine is quick enough for so many at a time."""
        for _ in range(ticks):
            enough = sum(not place.yields(self.now_ns) for place in self.places) <= most
            self.tick(*[enough] * len(self.places))

    def yielding(self) -> list[bool]:
        return [place.yields(self.now_ns) for place in self.places]


def test_the_last_one_gives_way_and_the_next_where_that_is_not_enough() -> None:
    visitors = Visitors(3)
    visitors.tick_crowded(1, 10)
    assert visitors.yielding() == [False, False, True]
    visitors.tick_crowded(1, 40)
    assert visitors.yielding() == [False, True, True]
    visitors.tick_crowded(1, 200)
    assert visitors.yielding()[0] is False


def test_a_few_misses_cost_nobody_his_mouths() -> None:
    visitors = Visitors(2)
    for _ in range(20):
        visitors.tick(False, True)
        visitors.tick(True, True, ticks=24)
    assert visitors.yielding() == [False, False]


def test_who_came_last_asks_nobody() -> None:
    visitors = Visitors(2)
    visitors.tick(True, False, ticks=200)
    assert visitors.yielding() == [False, False]


def test_who_makes_no_mouths_is_not_asked() -> None:
    visitors = Visitors(3)
    visitors.tick(True, True, None, ticks=5)
    visitors.tick(False, True, None, ticks=10)
    assert visitors.yielding() == [False, True, False]


def test_it_is_tried_again_and_each_time_later() -> None:
    visitors, spans = Visitors(2), []
    since_ns: int | None = None
    for _ in range(5_000):
        visitors.tick_crowded(1, 1)
        yields = visitors.yielding()[1]
        if yields and since_ns is None:
            since_ns = visitors.now_ns
        elif not yields and since_ns is not None:
            spans.append(round((visitors.now_ns - since_ns) / NS))
            since_ns = None
    assert spans[:2] == [30, 60]


def test_after_a_calm_it_begins_with_the_shortest_again() -> None:
    visitors = Visitors(2)
    visitors.tick(False, True, ticks=6)
    visitors.tick(True, True, ticks=2_000)  # 80 s, of which he yielded 30
    assert visitors.yielding() == [False, False]
    visitors.tick(False, True, ticks=6)
    visitors.tick(True, True, ticks=round(precedence.YIELD_NS / TICK_NS) - 5)
    assert visitors.yielding() == [False, True]
    visitors.tick(True, True, ticks=10)
    assert visitors.yielding() == [False, False]


def test_who_is_too_slow_by_himself_keeps_nobody_out() -> None:
    visitors = Visitors(2)
    visitors.tick(False, True, ticks=60)
    assert visitors.yielding() == [False, True]
    visitors.tick(False, True, ticks=200)  # it does not help him
    assert visitors.yielding() == [False, False]
    visitors.tick(False, True, ticks=1_000)  # 40 s
    assert visitors.yielding() == [False, False]


def test_who_comes_back_does_not_ask_while_he_climbs() -> None:
    visitors = Visitors(3)
    visitors.tick(False, True, None, ticks=6)
    visitors.tick(True, True, True, ticks=800)
    assert visitors.yielding() == [False, False, False]
    visitors.places[1]._yield(visitors.now_ns)
    visitors.now_ns += precedence.YIELD_NS * 2
    visitors.tick(True, False, True, ticks=20)
    assert visitors.yielding() == [False, False, False]


def test_who_has_gone_asks_nobody_and_is_asked_nothing() -> None:
    visitors = Visitors(2)
    visitors.places[1].leave()
    visitors.places[1].leave()
    visitors.tick(False, True, ticks=20)
    assert visitors.yielding() == [False, False]
    first: PlaceInOrder = visitors.places[0]
    first.leave()
    visitors.tick(False, True, ticks=20)
    assert visitors.yielding() == [False, False]
