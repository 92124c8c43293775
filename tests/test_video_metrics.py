"""The measures of quality on shapes whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.common.video_metrics import (
    correlation,
    correlation_and_lag,
    jitter,
    landmark_distance,
    lip_opening,
    mean_shape_distance,
    outside_difference,
)
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.face.landmarks import LIPS, OPENING

pytestmark = pytest.mark.computes

FRAMES = 60


def curve(frames: int = FRAMES) -> np.ndarray:
    """Something like syllables: no two stretches alike."""
    t = np.arange(frames)
    return 0.15 + 0.05 * np.sin(t / 2.1) + 0.04 * np.sin(t / 5.3 + 1) + 0.03 * np.sin(t / 1.3)


def speaking(opening: np.ndarray) -> np.ndarray:
    """The template's face, the lower inner lip let down by ``opening`` (T,)."""
    shapes = np.repeat(TEMPLATE[None], len(opening), 0)
    upper = shapes[:, OPENING[:, 0]]
    shapes[:, OPENING[:, 1]] = upper + np.array([0, 1, 0]) * opening[:, None, None]
    return shapes.astype(np.float32)


def test_opening_is_what_was_opened() -> None:
    assert lip_opening(speaking(curve())) == pytest.approx(curve(), abs=1e-5)


def test_equal_curves_agree_in_step() -> None:
    agreement = correlation_and_lag(curve(), curve())
    assert agreement.r_at_0 == agreement.r_best == pytest.approx(1)
    assert agreement.best_lag == 0


@given(st.integers(-8, 8))
def test_a_shift_is_found_with_its_sign(late: int) -> None:
    long = curve(FRAMES + 20)
    agreement = correlation_and_lag(long[10:-10], long[10 - late : 10 - late + FRAMES])
    assert agreement.best_lag == late
    assert agreement.r_best == pytest.approx(1)
    assert agreement.r_at_0 < 1 or late == 0


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_correlation_ignores_scale_and_offset(scale: float, offset: float) -> None:
    assert correlation(curve(), scale * curve() + offset) == pytest.approx(1)
    assert correlation(curve(), -scale * curve() + offset) == pytest.approx(-1)


def test_a_mouth_that_stands_still_follows_nothing() -> None:
    assert correlation_and_lag(curve(), np.full(FRAMES, 0.1)) == (0.0, 0, 0.0)


def test_too_short_to_tell() -> None:
    assert correlation_and_lag(curve(2), curve(2)) == (0.0, 0, 0.0)


def test_frames_without_a_face_count_nowhere() -> None:
    shapes, lost = speaking(curve()), speaking(curve())
    lost[10:14] = np.nan
    assert correlation(lip_opening(shapes), lip_opening(lost)) == pytest.approx(1)
    assert landmark_distance(shapes, lost) == 0
    assert math.isfinite(mean_shape_distance(lost))
    assert math.isfinite(jitter(lost))


def test_no_face_at_all_is_not_a_good_score() -> None:
    lost = np.full((FRAMES, 478, 3), np.nan, np.float32)
    assert correlation_and_lag(curve(), lip_opening(lost)).r_best == 0
    assert math.isnan(landmark_distance(speaking(curve()), lost))
    assert math.isnan(mean_shape_distance(lost))
    assert math.isnan(jitter(lost))


def test_distance_is_the_shift_of_the_lips_alone() -> None:
    truth = speaking(curve())
    moved = truth + np.array([0.03, 0.04, 0.12], np.float32)
    assert landmark_distance(truth, moved) == pytest.approx(0.05, abs=1e-5)
    assert landmark_distance(truth, moved, axes=3) == pytest.approx(0.13, abs=1e-5)
    moved = truth.copy()
    moved[:, np.setdiff1d(np.arange(478), LIPS)] += 1
    assert landmark_distance(truth, moved) == 0


def test_a_frozen_mouth_scores_the_mean_shape_distance() -> None:
    truth = speaking(curve())
    frozen = np.repeat(truth.mean(0, keepdims=True), FRAMES, 0)
    assert mean_shape_distance(truth) == pytest.approx(landmark_distance(truth, frozen), rel=1e-5)
    assert mean_shape_distance(truth) > 0


def test_jitter_sees_trembling_and_no_even_motion() -> None:
    even = speaking(np.linspace(0.1, 0.3, FRAMES))
    assert jitter(even) == pytest.approx(0, abs=1e-5)
    trembling = even.copy()
    trembling[::2, LIPS, 0] += 0.01
    assert jitter(trembling) == pytest.approx(0.02, rel=1e-3)


def test_jitter_only_where_it_is_asked() -> None:
    shapes = speaking(np.full(FRAMES, 0.1))
    shapes[30::2, LIPS, 0] += 0.01
    quiet = np.arange(FRAMES) < 30
    assert jitter(shapes, quiet) == pytest.approx(0, abs=1e-6)
    assert jitter(shapes, ~quiet) == pytest.approx(0.02, rel=1e-3)
    assert math.isnan(jitter(shapes, np.zeros(FRAMES, bool)))


def test_outside_difference_counts_pixels_beyond_the_mask() -> None:
    source = np.zeros((8, 8, 3), np.uint8)
    result = source.copy()
    result[2:6, 2:6, 1] = 1
    mask = np.zeros((8, 8), bool)
    assert outside_difference(source, source, mask) == 0
    assert outside_difference(source, result, mask) == 16
    mask[2:6, 2:5] = True
    assert outside_difference(source, result, mask) == 4
