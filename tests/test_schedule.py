"""The grid's arithmetic, the choice of frames, admission, the policy, the fallback."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_helpers import FACE, POSE, frame_at

from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, NS, ns_to_samples, rescale, samples_to_ns
from realtime_dub.mouth.contract import MouthPatch
from realtime_dub.pipeline.schedule import (
    GUARD_NS,
    P95,
    PROBE_NS,
    TOLERANCE_NS,
    Admission,
    DegradationPolicy,
    Fallback,
    FrameStore,
    Grid,
    Haste,
    Level,
    TrackedSample,
    phase_lock,
)

pytestmark = pytest.mark.computes

RATES = st.builds(Fraction, st.integers(1, 240_000), st.integers(1, 1001)).filter(lambda fps: 1 <= fps <= 240)
FIRST = st.integers(0, 10**18)


@given(RATES, FIRST, st.integers(0, 10**7), st.integers(0, 10**9))
def test_ticks_are_never_off_by_more_than_rounding(fps: Fraction, first: int, k: int, budget: int) -> None:
    grid = Grid(first, fps, budget)
    assert abs(grid.at(k) - first - Fraction(k * NS) / fps) <= Fraction(1, 2)
    assert grid.at(k) - grid.media(k) == budget
    assert abs(grid.at(k + 1) - grid.at(k) - NS / fps) <= 1


@given(RATES, st.sampled_from([8_000, 44_100, 48_000, 96_000]), st.integers(0, 10**6))
def test_samples_of_ticks_join_without_drift(fps: Fraction, rate: int, k: int) -> None:
    grid = Grid(0, fps, 0)
    first, count = grid.samples(k, rate)
    assert first + count == grid.samples(k + 1, rate)[0]
    assert abs(samples_to_ns(first, rate) - grid.offset(k)) <= NS // rate + 1


@given(st.integers(-(10**15), 10**15), st.integers(1, 192_000))
def test_samples_and_time_round_trip(samples: int, rate: int) -> None:
    assert ns_to_samples(samples_to_ns(samples, rate), rate) == samples


@given(st.integers(-(10**30), 10**30), st.integers(-(10**12), 10**12), st.integers(1, 10**12))
def test_rescale_is_the_nearest_integer(value: int, numerator: int, denominator: int) -> None:
    exact = Fraction(value * numerator, denominator)
    assert -Fraction(1, 2) < rescale(value, numerator, denominator) - exact <= Fraction(1, 2)


@given(RATES, FIRST, st.integers(20 * MS, NS), st.integers(-NS, 10 * NS))
def test_phase_lock_is_in_step_and_not_early(fps: Fraction, capture: int, budget: int, after: int) -> None:
    not_before = capture + after
    first = phase_lock(capture, fps, budget, not_before)
    assert first >= not_before - 1
    steps = Fraction(first - (capture + budget - GUARD_NS)) * fps / NS
    assert steps >= 0
    assert abs(steps - round(steps)) <= fps / NS
    assert first - max(not_before, capture + budget - GUARD_NS) <= NS / fps + 1


def seen(capture_ns: int, stale: bool = False) -> TrackedSample:
    return TrackedSample(TrackedFrame(frame_at(capture_ns, 0, stale), FACE))


def test_store_gives_the_oldest_that_is_young_enough_then_repeats_it_then_is_lagged() -> None:
    store = FrameStore(8, 100)
    assert store.choose(0) is None
    frames = [seen(at) for at in (10, 20, 30)]
    for each in frames:
        store.put(each)
    first = store.choose(15)
    assert (first.sample, first.new, first.lagged) == (frames[1], True, False)
    again = store.choose(28)
    assert again.sample is frames[2]
    repeated = store.choose(29)
    assert (repeated.sample, repeated.new, repeated.lagged) == (frames[2], False, False)
    assert store.ready(30)
    assert not store.ready(31)
    assert store.choose(31).lagged


def test_store_is_bounded_and_knows_a_frozen_source() -> None:
    store = FrameStore(3, 100)
    for at in range(10):
        store.put(seen(at, stale=at == 9))
    assert store.choose(0).sample.capture_ns == 7
    assert store.choose(9).lagged
    assert store.last.capture_ns == 9


@given(st.lists(st.integers(0, 200), min_size=1, max_size=60), st.integers(0, 50))
def test_store_never_goes_back_and_never_gives_an_old_frame_as_young(steps: list[int], extra: int) -> None:
    store, captures, since, last = FrameStore(100, 45), np.cumsum(steps).tolist(), 0, -1
    for capture in captures:
        store.put(seen(capture))
        since += extra
        choice = store.choose(since)
        assert choice.sample.capture_ns >= last
        assert choice.lagged == (choice.sample.capture_ns < since)
        last = choice.sample.capture_ns


def test_p95_ignores_one_outlier_notices_two_and_forgets_after_three() -> None:
    cost = P95(10 * MS)
    assert cost.value_ns == 10 * MS
    for _ in range(30):
        cost.add(8 * MS)
    cost.add(90 * MS)
    assert cost.value_ns <= 10 * MS
    for _ in range(3):
        cost.add(60 * MS)
    assert cost.value_ns >= 60 * MS
    for _ in range(3):
        cost.add(8 * MS)
    assert cost.value_ns == 8 * MS


def test_admission() -> None:
    admission = Admission(10)
    assert admission.fits(90, 100)
    assert not admission.fits(91, 100)
    assert admission.latest_ns(100) == 90


def test_admission_forgets_what_was_slow_while_there_is_nothing_to_do() -> None:
    admission = Admission(10)
    for _ in range(5):
        admission.cost.add(40)
    for _ in range(3):
        assert admission.cost.value_ns == 40
        admission.rest()
    assert admission.cost.value_ns == 10
    for _ in range(5):
        admission.cost.add(4)
    admission.rest()
    assert admission.cost.value_ns == 4


def test_haste_is_what_slow_mouths_lack_and_no_more_than_anybody_notices() -> None:
    haste = Haste(25 * MS)
    haste.took(80 * MS)
    assert haste.ns == 0  # one mouth is no rule
    for _ in range(60):
        haste.took(20 * MS)
    assert haste.ns == 0
    for _ in range(3):
        haste.took(31 * MS)
    assert haste.ns == 31 * MS + Haste.SPARE_NS - 25 * MS
    for _ in range(3):
        haste.took(90 * MS)
    assert haste.ns == Haste.MOST_NS
    for _ in range(50):
        haste.took(20 * MS)
    assert haste.ns == 0


def policy_with(level: Level) -> DegradationPolicy:
    policy = DegradationPolicy(40 * MS, 60 * MS)
    for _ in range({Level.FULL: 0, Level.HALF: 3, Level.PASS: 9}[level]):
        policy.missed()
    assert policy.level is level
    return policy


def test_ladder_goes_down_after_three_misses_among_six_and_then_six_in_a_row() -> None:
    policy = DegradationPolicy(40 * MS, 60 * MS)
    for _ in range(20):  # one in three is lived with
        policy.missed()
        policy.in_time(8 * MS)
        policy.in_time(8 * MS)
        policy.in_time(8 * MS)
    assert policy.level is Level.FULL
    half = policy_with(Level.HALF)
    for _ in range(20):  # as long as some are in time, half the mouths are better than none
        for _ in range(5):
            half.missed()
        half.in_time(30 * MS)
    assert half.level is Level.HALF
    assert policy_with(Level.PASS).level is Level.PASS


def test_ladder_at_half_asks_every_second_tick_and_at_pass_only_probes() -> None:
    half, low = policy_with(Level.HALF), policy_with(Level.PASS)
    assert [half.wants(k, 0) for k in range(4)] == ["run", "skip", "run", "skip"]
    low.started(0)
    assert [low.wants(3, at) for at in (PROBE_NS - 1, PROBE_NS)] == ["skip", "probe"]


def test_ladder_climbs_on_a_run_of_quick_jobs_only() -> None:
    policy = policy_with(Level.PASS)
    for _ in range(20):
        policy.in_time(65 * MS)  # quick enough for nothing
    assert policy.level is Level.PASS
    policy.in_time(20 * MS)  # the mean of three is
    assert policy.level is Level.HALF
    for _ in range(20):
        policy.in_time(38 * MS)  # could not be kept up every tick
    assert policy.level is Level.HALF
    for _ in range(6):
        policy.in_time(20 * MS)
    assert policy.level is Level.FULL


def test_ladder_climbs_where_only_some_jobs_last() -> None:
    """Beside somebody who takes the processor now and then, one job in three lasts, and all are in time."""
    policy = policy_with(Level.PASS)
    for took_ms in (15, 55, 15, 15, 15, 55, 15, 15, 55, 15):
        policy.in_time(took_ms * MS)
    assert policy.level is Level.FULL
    late = policy_with(Level.PASS)
    for took_ms in (15, 15, 105) * 10:  # the mean is short, and one in three too late, for the next tick, too
        late.in_time(took_ms * MS)
    assert late.level is Level.PASS


def test_at_half_rate_a_mouth_has_the_time_of_two_ticks() -> None:
    assert policy_with(Level.FULL).deadline_ns(NS) == NS
    assert policy_with(Level.HALF).deadline_ns(NS) == policy_with(Level.PASS).deadline_ns(NS) == NS + 40 * MS


def test_the_full_rate_is_tried_later_each_time_it_was_for_nothing() -> None:
    policy, waited = policy_with(Level.HALF), list[int]()
    for last_for in (0, 0, 0, 60, 0):
        count = 0
        while policy.level is Level.HALF:
            policy.in_time(30 * MS)
            count += 1
        waited.append(count)
        for _ in range(last_for):
            policy.in_time(30 * MS)
        for _ in range(3):
            policy.missed()
    assert waited == [6, 12, 24, 48, 6]


def small_policy() -> DegradationPolicy:
    policy = DegradationPolicy(40 * MS, 60 * MS, smaller=True)
    policy.missed()
    assert policy.level is Level.FULL
    policy.missed()
    assert policy.level is Level.SMALL
    return policy


def test_an_engine_that_can_works_on_smaller_pictures_before_it_makes_fewer() -> None:
    policy = small_policy()
    assert [policy.wants(k, 0) for k in range(4)] == ["run"] * 4
    for level, misses in ((Level.HALF, 3), (Level.PASS, 6)):
        for _ in range(misses):
            policy.missed()
        assert policy.level is level


def test_full_size_is_tried_after_a_while_and_later_each_time_it_was_for_nothing() -> None:
    policy, waited = small_policy(), list[int]()
    for _ in range(4):
        count = 0
        while policy.level is Level.SMALL:
            policy.in_time(10 * MS)
            count += 1
        waited.append(count)
        for _ in range(2):
            policy.missed()
    assert waited == [each + 5 for each in (50, 100, 200, 400)]  # five before the mean of six is known


def test_full_size_that_has_gone_well_for_long_is_trusted_again() -> None:
    policy = small_policy()
    for _ in range(55 + 900):
        policy.in_time(10 * MS)
    assert policy.level is Level.FULL
    for _ in range(2):
        policy.missed()
    for _ in range(55):
        policy.in_time(10 * MS)
    assert policy.level is Level.FULL


def test_a_starved_engine_is_probed_at_every_level() -> None:
    policy = DegradationPolicy(40 * MS, 60 * MS)
    policy.started(0)
    assert policy.wants(1, PROBE_NS) == "probe"


def test_an_engine_whose_every_mouth_was_refused_is_probed_too() -> None:
    assert policy_with(Level.PASS).wants(1, 0) == "probe"


def patch(at_ns: int = 0, shot: int = 0) -> MouthPatch:
    return MouthPatch(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8), (0, 0, 1, 1), POSE, at_ns, shot)


def test_a_lost_frame_leaves_the_picture_ahead_for_one_tick_only() -> None:
    store, period = FrameStore(8, ahead_ns=42), 40
    for at in (15, 55, 135, 175, 215, 255):  # the camera lost the one at 95
        store.put(seen(at))
    chosen = [store.choose(10 + k * period) for k in range(6)]
    assert [each and each.sample.capture_ns for each in chosen] == [15, 55, 135, 135, 175, 215]
    assert [each and each.new for each in chosen] == [True, True, True, False, True, True]
    assert not any(each and each.lagged for each in chosen)


def speaking() -> Fallback:
    fallback = Fallback()
    for k in range(4):
        fallback.step("result", patch(k))
    return fallback


def test_fallback_feathers_in_over_three_ticks_after_a_hole() -> None:
    fallback = Fallback()
    fallback.step("lost")
    weights = [fallback.step("result", patch()).weight for _ in range(4)]
    assert weights == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_fallback_leaves_fading_at_silence_to_the_generator() -> None:
    fallback = Fallback()
    results = [None, patch(1), patch(2), None, patch(4)]
    shown = [fallback.step("result", each) for each in results]
    assert [each.weight for each in shown] == pytest.approx([0, 1, 1, 0, 1])
    assert [each.patch for each in shown] == results
    assert {each.kind for each in shown} == {"fresh"}


def test_fallback_carries_the_last_patch_over_and_feathers_it_out() -> None:
    fallback = speaking()
    shown = [fallback.step("missed") for _ in range(5)]
    assert [each.weight for each in shown] == pytest.approx([1, 2 / 3, 1 / 3, 0, 0])
    assert [each.kind for each in shown] == ["reused"] * 3 + ["passthrough"] * 2
    assert shown[3].patch is None


def test_fallback_every_second_tick_keeps_full_weight() -> None:
    fallback = speaking()
    for k in range(10):
        assert fallback.step("result", patch(k)).weight == pytest.approx(1)
        assert fallback.step("missed").weight == pytest.approx(1)


def test_fallback_at_half_rate_shows_late_mouths_at_full_weight() -> None:
    fallback = Fallback()
    for k in range(0, 12, 2):  # each comes after its own tick, in time for the next
        before = fallback.step("missed", held=2)
        fallback.offer(late := patch(k + 1), k)
        after = fallback.step("missed", held=2)
        assert after.patch is late
    assert (before.weight, after.weight) == pytest.approx((1, 1))
    assert (before.kind, after.kind) == ("reused", "reused")
    left = [fallback.step("missed", held=2) for _ in range(4)]
    assert [each.weight for each in left] == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_fallback_after_a_lost_face_begins_from_nothing() -> None:
    fallback = speaking()
    assert fallback.step("lost").patch is None
    assert fallback.step("missed").kind == "passthrough"
    assert fallback.step("result", patch()).weight == pytest.approx(1 / 3)


def test_fallback_carries_no_patch_over_a_cut() -> None:
    fallback = speaking()
    assert fallback.step("missed", shot=1).patch is None
    fallback.offer(patch(9), 4)  # made for the picture before the cut
    assert fallback.step("missed", shot=1).patch is None
    fallback.offer(late := patch(10, shot=1), 5)
    assert fallback.step("missed", shot=1).patch is late


def test_fallback_prefers_a_late_newer_patch() -> None:
    fallback = speaking()
    late, older = patch(9), patch(1)
    fallback.offer(late, 4)
    fallback.offer(older, 1)
    assert fallback.step("missed").patch is late


def test_the_tolerance_is_inside_the_guard() -> None:
    assert TOLERANCE_NS < GUARD_NS
