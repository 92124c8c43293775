"""A grid that was locked to a late frame is moved to where frames stand, and follows a camera that changes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_helpers import FACE, RATE, START_NS, PuppetGenerator, Run, frame_at, live, sound

from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, NS, rescale
from realtime_dub.pipeline.in_step import EVERY_NS, SLACK_NS, STEP, WATCHED_NS, InStep
from realtime_dub.pipeline.schedule import TOLERANCE_NS, FrameStore, Grid, TrackedSample, phase_lock

pytestmark = pytest.mark.computes

SETTLED_NS = NS + WATCHED_NS + EVERY_NS  # of a virtual run: it begins, looks, and moves the grid within a second
FPS = (10, 15, 25, 30)
BUDGET_MS = {10: 240, 15: 210, 25: 160, 30: 160}


def run_at(fps: int, seconds: float = 8, **inputs: object) -> Run:
    """The person is not dubbed, so what leaves is the live picture and its own instant."""
    silent = PuppetGenerator(speaks=lambda at_ns: False)
    rates = {"fps": Fraction(fps), "camera_fps": Fraction(fps)} | inputs
    return live(seconds, budget_ms=BUDGET_MS[fps], generator=silent, **rates)


def offsets(run: Run, since_ns: int = SETTLED_NS) -> np.ndarray:
    """By how much each picture was captured after the sound beside it, ns."""
    taken = [each for each in run.output.taken if each.at_ns - START_NS >= since_ns]
    given = [each.stamped for each in taken]
    return np.array([each.picture_ns - each.sound_ns for each in given if each.picture_ns is not None])


def steps(run: Run) -> np.ndarray:
    """By how many frames of the camera each tick is after the one before it."""
    corners = [each.stamped.tick.image[0, 0].astype(int) for each in run.output.taken]
    return np.diff([low + 251 * high for low, high, _ in corners])


def check_sound(run: Run) -> None:
    """It is the microphone's, every sample once, and ticks and their sound are equally long."""
    taken, samples = run.output.taken, run.output.sound[:, 0]
    first = round((taken[0].stamped.sound_ns - START_NS) * RATE / NS)
    lead = max(0, -first)
    assert np.array_equal(samples[lead:], sound(max(first, 0), len(samples) - lead)[:, 0])
    ticks = [each.stamped.tick for each in taken]
    assert [tick.seq for tick in ticks] == list(range(len(ticks)))
    assert [tick.pts_ns + tick.duration_ns for tick in ticks[:-1]] == [tick.pts_ns for tick in ticks[1:]]
    assert max(abs(tick.audio.duration_ns - tick.duration_ns) for tick in ticks) <= NS // RATE + 1


def check_ticks(run: Run, fps: int) -> None:
    """Each leaves at its time; none is much shorter or longer than another."""
    left = np.diff([each.at_ns for each in run.output.taken])
    assert np.all(np.abs(left - NS / fps) <= NS / fps / STEP + 2)
    assert max(age for _, _, age, lagged in run.kinds if not lagged) <= BUDGET_MS[fps] * MS


@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.85])
def test_a_first_frame_that_came_late_costs_no_frame_for_good(fps: int, share: float) -> None:
    late_ns = 5 * MS + int(share * (NS / fps - 5 * MS))
    late = dict.fromkeys(range(3), late_ns)  # of these the grid is locked to one
    run = run_at(fps, 6, late_ns=lambda seq: late.get(seq, 0))
    before = offsets(run, NS)[0]
    assert abs(before - (15 * MS + NS / fps - late_ns)) < MS  # the later, the nearer to the frame before
    after = offsets(run)
    assert np.all(after > TOLERANCE_NS)
    assert after.max() <= max(NS / fps / 2, TOLERANCE_NS + 8 * MS)
    assert np.all(steps(run)[fps:] >= 0)
    assert np.count_nonzero(steps(run)[fps // 2 :] != 1) <= 1
    check_sound(run)
    check_ticks(run, fps)
    assert run.report.frames["lagged"] == 0  # as with a first frame in time
    assert run.report.frames["fresh"] == run.report.frames["total"]


@pytest.mark.parametrize("fps", FPS)
def test_frames_that_stand_well_let_the_grid_stay(fps: int) -> None:
    trembling = np.random.default_rng(fps).integers(-2 * MS, 2 * MS, 400).tolist()
    trembling[0:3] = [0, 0, 0]
    run = run_at(fps, late_ns=lambda seq: trembling[seq])
    assert {each.stamped.tick.duration_ns for each in run.output.taken} <= {NS // fps, NS // fps + 1}
    check_sound(run)


@pytest.mark.parametrize("fps", FPS)
def test_a_camera_that_trembles_gets_room_for_it(fps: int) -> None:
    trembling = np.random.default_rng(fps).normal(0, 4 * MS, 400).astype(int).tolist()
    late = lambda seq: 5 * MS + trembling[seq] + (10 * MS if seq < 3 else 0)  # noqa: E731
    run = run_at(fps, 12, late_ns=late)
    after = offsets(run, SETTLED_NS + NS)
    assert np.median(after) <= TOLERANCE_NS + 15 * MS
    assert np.count_nonzero(steps(run)[4 * fps :] != 1) <= 0.08 * 8 * fps
    check_sound(run)
    check_ticks(run, fps)


@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_camera_that_paused_and_comes_back_in_another_phase(fps: int, share: float) -> None:
    at, behind_ns = 3 * fps, int(share * NS / fps)
    run = run_at(fps, 12, late_ns=lambda seq: behind_ns + 2 * NS if seq >= at else 0)
    after = offsets(run, 5 * NS + SETTLED_NS)
    assert np.all(after > TOLERANCE_NS)
    assert after.max() <= max(NS / fps / 2, TOLERANCE_NS + 8 * MS)
    moved = steps(run)[-int(5 * fps) :]
    assert np.count_nonzero(moved != 1) <= 1
    check_sound(run)


def test_a_camera_that_changes_its_rate_and_changes_it_back() -> None:
    """15 frames a second in the dark, on a grid of 30: each is shown twice. Then 30 again, half a period off."""
    period = NS // 30

    def late_ns(seq: int) -> int:
        slow = min(max(0, seq - 90), 60)
        return slow * period + (period * 6 // 10 if seq >= 150 else 0)

    run = run_at(30, 14, late_ns=late_ns)
    dark, after = offsets(run, 5 * NS)[:30], offsets(run, 7 * NS + SETTLED_NS)
    assert dark.max() <= 2.3 * period
    assert after.max() <= max(period / 2, TOLERANCE_NS + 8 * MS)
    assert np.count_nonzero(steps(run)[-120:] != 1) == 0
    check_sound(run)
    check_ticks(run, 30)


@pytest.mark.parametrize("camera", [Fraction(30_000, 1001), Fraction(3003, 100)])
def test_a_camera_with_a_clock_of_its_own_is_followed(camera: Fraction) -> None:
    """Its frames move by a millisecond a second: none is shown twice, none is left out."""
    run = run_at(30, 20, camera_fps=camera)
    after = offsets(run)
    assert np.all(after > TOLERANCE_NS)
    assert after.max() <= TOLERANCE_NS + 12 * MS
    assert np.all(steps(run)[30:] == 1)
    check_sound(run)
    check_ticks(run, 30)


@pytest.mark.parametrize("camera", [12, 20, 24, 50, 60])
def test_a_camera_at_another_rate_moves_nothing(camera: int) -> None:
    run = run_at(25, 6, camera_fps=Fraction(camera))
    assert {each.stamped.tick.duration_ns for each in run.output.taken} == {40 * MS}


def test_a_loop_that_stands_still_while_the_grid_is_moved_loses_no_sound() -> None:
    for from_ms in range(1_500, 2_000, 100):
        asleep = from_ms * MS, from_ms * MS + 400 * MS
        run = run_at(25, 5, late_ns=lambda seq: 12 * MS if seq < 3 else 0, asleep=asleep)
        ticks = [each.stamped.tick for each in run.output.taken]
        assert [tick.pts_ns + tick.duration_ns for tick in ticks[:-1]] == [tick.pts_ns for tick in ticks[1:]]
        counts = np.cumsum([len(tick.audio.samples) for tick in ticks])
        assert np.all(np.abs(counts * NS / RATE - [tick.pts_ns + tick.duration_ns for tick in ticks]) <= NS / RATE + 1)
        assert offsets(run, 4 * NS).max() <= 20 * MS


@settings(max_examples=40)
@given(
    st.sampled_from([10, 12, 15, 24, 25, 30, 60]),
    st.floats(0, 1),
    st.integers(0, 1000),
    st.integers(0, 3 * MS),
    st.integers(-40, 40),
)
def test_once_settled_the_frame_of_a_tick_is_the_nearest_that_is_not_too_old(
    fps: int, first_late: float, seed: int, tremble_ns: int, drift: int
) -> None:
    """``drift``: of the camera's clock, millionths."""
    period, budget = NS // fps, 400 * MS
    tremble = np.random.default_rng(seed).integers(-tremble_ns, tremble_ns + 1, 12 * fps).tolist()
    captures = [
        START_NS + rescale(n * NS * (1_000_000 + drift), 1, fps * 1_000_000) + tremble[n] for n in range(12 * fps)
    ]
    locked = captures[0] + int(first_late * period)
    grid = Grid(phase_lock(locked, Fraction(fps), budget, 0), Fraction(fps), budget)
    store, in_step, given, worst = FrameStore(50, period + 2 * MS), InStep(grid), 0, 0
    shown: list[int] = []
    for k in range(10 * fps):
        while captures[given] <= grid.media(k) + 2 * period:
            store.put(TrackedSample(TrackedFrame(frame_at(captures[given], given), FACE)))
            in_step.put(captures[given])
            given += 1
        since_ns = grid.media(k) + TOLERANCE_NS
        if (choice := store.choose(since_ns)) is not None and k > 4 * fps:
            ahead_ns = choice.sample.capture_ns - since_ns
            nearest = min((each for each in captures if each >= since_ns), key=lambda each: each - since_ns)
            worst = max(worst, ahead_ns - (nearest - since_ns))
            assert 0 <= ahead_ns <= max(period / 2, 8 * MS) + 2 * tremble_ns
            shown.append(choice.sample.tracked.frame.seq)
        in_step.step(k + 1)
    assert worst == 0
    assert set(np.diff(shown)) == {1}


@given(
    st.lists(st.tuples(st.integers(1, 20), st.integers(-2 * MS, 2 * MS)), max_size=12),
    st.sampled_from([44_100, 48_000]),
)
def test_a_grid_that_is_moved_has_no_seam(moves: list[tuple[int, int]], rate: int) -> None:
    grid, k = Grid(NS, Fraction(25), 100 * MS), 0
    for after, by_ns in moves:
        k += after
        before = grid.at(k - 1)
        grid.move(k, by_ns)
        assert grid.at(k - 1) == before
    last = k + 10
    pieces = [grid.samples(each, rate) for each in range(last)]
    assert [first + count for first, count in pieces[:-1]] == [first for first, _ in pieces[1:]]
    assert grid.at(last) - grid.first_ns == last * 40 * MS + sum(by_ns for _, by_ns in moves)
    assert abs(pieces[-1][0] * NS / rate - grid.offset(last - 1)) <= NS / rate + 1
    ends = [grid.at(each) for each in range(k, last)]
    grid.forget(k)
    assert [grid.at(each) for each in range(k, last)] == ends
    assert grid.phase(grid.media(last) + TOLERANCE_NS + SLACK_NS) == SLACK_NS
