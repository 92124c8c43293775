"""The benchmark of things that come before a mouth long free, on the portrait."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from benchmarks.arrivals import asked, every_frame, far, found
from benchmarks.occluded import occluded
from realtime_dub.mouth.mouthbank.occlusion import CALM_NS, UNCHANGED_NS
from tests.faces import portrait
from tests.test_occlusion import PERIOD_NS, seen

pytestmark = pytest.mark.computes

COMES = CALM_NS // PERIOD_NS + 5


@pytest.mark.parametrize(("kind", "takes"), [("cup", 0), ("microphone", 5), ("mask", 3)])
def test_a_thing_comes_when_it_should_and_is_found_by_both_ways_to_look(kind: str, takes: int) -> None:
    clean = seen([portrait()] * (COMES + takes + 4))
    made = occluded(clean, kind, 2, partial(far, comes=COMES, takes=takes))
    assert made.shares[-1].max() > 0.98
    assert (made.images[-1] != portrait()).any()
    shown = seen(made.images)
    now = found(shown, made, 1)
    with every_frame():
        best = found(shown, made, 1)
    assert COMES <= best.first < len(shown)
    assert now.first == best.first
    assert now.kept == best.kept
    assert 0.7 < best.kept / best.thing <= 1
    assert best.false < 0.1 * best.face


def test_what_is_asked_of_a_calm_face_is_counted_alone() -> None:
    calls, calm = asked(seen([portrait()] * (COMES + 40)))
    assert calm == COMES + 40 - CALM_NS // PERIOD_NS - 1
    assert 0 < calls <= calm * PERIOD_NS // UNCHANGED_NS + 1
    with every_frame():
        assert asked(seen([portrait()] * (COMES + 5)))[0] == 9


def test_a_thing_that_is_far_comes_evenly() -> None:
    assert [far(k, 9, comes=2, takes=4) for k in range(8)] == [1, 1, 1, 0.75, 0.5, 0.25, 0, 0]
    assert [far(k, 9, comes=2, takes=0) for k in range(4)] == [1, 1, 0, 0]
    assert np.all(np.diff([far(k, 9, comes=0, takes=9) for k in range(9)]) < 0)
