"""The figures of a mouth, and their means over people, on motion whose answers are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from engines.common.mouth_figures import Score, others, scored
from engines.common.people_figures import brief, estimate, of_person, over_people, show_rows, written
from engines.common.video_metrics import LOWER_LIP, closing, jaw, lip_width, lower_lip
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.face.landmarks import CHIN, CORNERS, LIPS, OPENING

pytestmark = pytest.mark.computes

FRAMES = 60
ALL = np.ones(FRAMES, bool)


def wave(speed: float = 2.1, frames: int = FRAMES) -> np.ndarray:
    """0..1, up and down."""
    return (0.5 - 0.5 * np.cos(np.arange(frames) / speed)).astype(np.float32)


def face(opened: np.ndarray | None = None, spread: np.ndarray | None = None) -> np.ndarray:
    """The template with its lower lip let down by ``opened`` (T,), and its corners ``spread`` (T,) farther apart."""
    opened, spread = (np.zeros(FRAMES) if each is None else each for each in (opened, spread))
    shapes = np.repeat(TEMPLATE[None], len(opened), 0).astype(np.float64)
    shapes[:, OPENING[:, 1]] = shapes[:, OPENING[:, 0]]  # shut
    shapes[:, LOWER_LIP, 1] += opened[:, None]
    shapes[:, CORNERS[0], 0] -= spread / 2
    shapes[:, CORNERS[1], 0] += spread / 2
    return shapes.astype(np.float32)


def test_width_is_how_far_the_corners_are_apart() -> None:
    spread = 0.3 * wave()
    assert lip_width(face(spread=spread)) - lip_width(face()) == pytest.approx(spread, abs=1e-5)
    assert lip_width(face(opened=wave())) == pytest.approx(lip_width(face()))


def test_the_lower_lip_is_measured_from_the_nose_and_not_from_the_upper_lip() -> None:
    opened = 0.3 * wave()
    assert lower_lip(face(opened)) - lower_lip(face()) == pytest.approx(opened, abs=1e-5)
    raised = face()
    raised[:, OPENING[:, 0], 1] -= 0.2
    assert lower_lip(raised) == pytest.approx(lower_lip(face()))
    nodding = face(opened) + np.array([0, 0.1, 0], np.float32) * wave(5)[:, None, None]
    assert lower_lip(nodding) == pytest.approx(lower_lip(face(opened)), abs=1e-5)


def test_the_jaw_is_the_chin_alone() -> None:
    shapes = face(wave())
    assert jaw(shapes) == pytest.approx(jaw(face()))
    shapes[:, CHIN, 1] += 0.2 * wave()
    assert jaw(shapes) - jaw(face()) == pytest.approx(0.2 * wave(), abs=1e-5)


def test_lips_that_shut_two_times_of_three_are_told_so() -> None:
    truth = np.full(40, 0.3)
    truth[[5, 6, 15, 16, 17, 30]] = 0.02
    test = np.full(40, 0.3)
    test[4] = 0.0  # a frame early counts
    test[17] = 0.04  # so near counts
    test[28] = 0.0  # two frames early do not, and are wrong
    found = closing(truth, test, np.ones(40, bool))
    assert found.moments == 3
    assert found.met == pytest.approx(2 / 3)
    assert found.wrong == pytest.approx(2 / 34)  # frames 4 and 28


def test_a_mouth_always_shut_meets_every_closing_and_is_always_wrong() -> None:
    truth = np.where(np.arange(40) % 10 == 0, 0.0, 0.3)
    assert closing(truth, np.zeros(40), np.ones(40, bool)) == (4, 1.0, 1.0)
    assert closing(truth, np.full(40, 0.15), np.ones(40, bool)) == (4, 0.0, 0.0)
    assert closing(truth, np.zeros(40), np.arange(40) > 25)[0] == 1


def test_shut_lips_are_what_the_tracker_reads_of_this_face() -> None:
    truth = np.where(np.arange(40) % 10 == 0, 0.0, 0.3)
    assert closing(truth + 0.06, truth + 0.06, np.ones(40, bool)) == (4, 1.0, 0.0)
    never = closing(truth + 0.2, truth + 0.2, np.ones(40, bool))
    assert never.moments == 0
    assert math.isnan(never.met)
    assert closing(np.full(40, np.nan), truth, np.ones(40, bool)).moments == 0


def test_the_truth_has_every_figure_full_and_a_frozen_mouth_none() -> None:
    truth = face(0.3 * wave(), 0.2 * wave(3.3))
    truth[:, CHIN, 1] += 0.2 * wave()
    frozen = np.repeat(truth.mean(0, keepdims=True), FRAMES, 0)
    best = scored("a_1", "a", truth, truth, ALL, ALL).figures
    worst = scored("a_1", "a", truth, frozen, ALL, ALL).figures
    for name in ("r_at_0", "r_best", "r_spoken", "r_width", "r_lower_lip", "r_jaw", "r_width_spoken", "closed"):
        assert best[name] == pytest.approx(1), name
        assert worst[name] == pytest.approx(0, abs=1e-3), name
    assert (best["distance_share"], worst["distance_share"]) == (pytest.approx(0), pytest.approx(1, abs=1e-3))
    assert (best["amplitude_spoken"], worst["amplitude_spoken"]) == (pytest.approx(1), pytest.approx(0, abs=1e-3))
    assert best["jitter"] > worst["jitter"] == pytest.approx(0, abs=1e-5)


def test_round_lips_are_told_from_open_ones() -> None:
    truth, rounded = face(0.3 * wave(), 0.2 * wave(3.3)), face(0.3 * wave(), -0.2 * wave(3.3))
    found = scored("a_1", "a", truth, rounded, ALL, ALL).figures
    assert found["r_at_0"] == pytest.approx(1)
    assert found["r_width"] == pytest.approx(-1)


def test_speech_alone_is_what_is_said_to_be_speech() -> None:
    truth, half = face(0.3 * wave()), np.arange(FRAMES) < FRAMES // 2
    made = truth.copy()
    made[half] = face(0.3 - 0.3 * wave())[half]  # wrong in speech, the live mouth after it
    found = scored("a_1", "a", truth, made, half, ~half).figures
    assert found["r_spoken"] == pytest.approx(-1)
    assert -0.2 < found["r_at_0"] < 0.9


@pytest.mark.parametrize("count", range(2, 20))
@pytest.mark.parametrize("most", [1, 4])
def test_every_clip_gets_other_ones_voices(count: int, most: int) -> None:
    given = [others(place, count, most) for place in range(count)]
    assert all(1 <= len(set(each)) == len(each) <= most and place not in each for place, each in enumerate(given))
    assert sorted(first for first, *_ in given) == list(range(count))
    assert others(0, 1) == []
    assert others(0, 9) == [4]


def test_the_error_is_over_values_and_the_range_lies_among_them() -> None:
    found = estimate([1.0, 2.0, 3.0, math.nan])
    assert found.mean == 2
    assert found.error == pytest.approx(1 / math.sqrt(3))
    assert 1 <= found.low < 2 < found.high <= 3
    assert estimate([1.0, 2.0, 3.0]) == found
    assert math.isnan(estimate([0.5]).error)
    assert math.isnan(estimate([]).mean)
    wide = np.random.default_rng(0).normal(0, 1, 400)
    found = estimate(wide)
    assert found.low == pytest.approx(found.mean - 1.96 * found.error, abs=0.02)  # as the error says, if many


def clip(speaker: str, figures: dict[str, float], late: int = 0) -> Score:
    rng = np.random.default_rng(ord(speaker))
    curve = np.convolve(rng.standard_normal(FRAMES + 20), np.ones(3), "same")
    return Score(f"{speaker}_1", speaker, curve[10:-10], curve[10 - late : 10 - late + FRAMES], figures)


def test_a_person_counts_once_however_many_clips_there_are() -> None:
    scores = [clip("a", {"r_at_0": 0.4})] * 9 + [clip("b", {"r_at_0": 0.8})]
    found = over_people(scores)["r_at_0"]
    assert found.mean == pytest.approx(0.6)
    assert found.error == pytest.approx(0.2)


def test_pixels_are_counted_and_what_is_unknown_is_left_out() -> None:
    scores = [
        clip("a", {"closed": math.nan, "outside_pixels": 2.0}),
        clip("a", {"closed": 0.5, "outside_pixels": 1.0}),
        clip("b", {"closed": math.nan, "outside_pixels": 4.0}),
    ]
    assert of_person(scores[:2])["closed"] == 0.5
    found = over_people(scores)
    assert found["outside_pixels"].mean == 7
    assert found["closed"].mean == 0.5
    assert math.isnan(found["closed"].error)


def test_there_is_one_best_lag_and_it_is_not_each_clips_own() -> None:
    late = [clip(name, {"r_at_0": 0.0}, 2) for name in ("a", "b", "c")]
    found = over_people(late)
    assert found["best_lag"].mean == 2
    assert found["r_best"].mean == pytest.approx(1)
    # Two clips that are off to either side do not make one that fits.
    apart = over_people([clip("a", {"r_at_0": 0.0}, 4), clip("b", {"r_at_0": 0.0}, -4)])
    assert apart["r_best"].mean < 0.8


def test_a_clip_too_short_to_tell_says_so() -> None:
    short = Score("a_1", "a", np.zeros(2), np.zeros(2), {"r_at_0": 0.0})
    found = over_people([short, clip("b", {"r_at_0": 0.5})])
    assert found["r_at_0"].mean == 0.25
    assert found["best_lag"].mean == 0
    assert math.isfinite(found["r_best"].mean)
    assert math.isnan(over_people([short])["r_best"].mean)


def test_rows_are_written_as_json_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {
        "dubbed": [clip("a", {"r_at_0": 0.25, "closed": math.nan}), clip("b", {"r_at_0": 0.75, "closed": math.nan})],
        "frozen": [clip("a", {"r_at_0": 0.0, "closed": 0.0}), clip("b", {"r_at_0": 0.0, "closed": 0.0})],
    }
    told = json.loads(json.dumps(written(rows), allow_nan=False))
    assert told["dubbed"]["people"] == 2
    assert told["dubbed"]["figures"]["r_at_0"]["mean"] == 0.5
    assert told["dubbed"]["figures"]["closed"]["mean"] is None
    assert told["dubbed"]["persons"]["b"]["r_at_0"] == 0.75
    assert brief(rows)["frozen"]["closed"] == 0
    show_rows("title", rows)
    assert "0.500 ±0.250" in (shown := capsys.readouterr().out)
    assert "dubbed, b" not in shown
    show_rows("title", rows, persons=["dubbed"])
    assert "dubbed, b" in capsys.readouterr().out


def test_the_lower_lip_has_points_of_the_lips_alone() -> None:
    assert set(LOWER_LIP) < set(LIPS)
