"""The rows beside the dubbed one: which clip, which voice and which drawing each has."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pytest
from talkers import write_talker

from benchmarks.quality import evenly
from benchmarks.rendered import Look, Setup, score
from benchmarks.rows import ROWS, Pair, jobs, measured, names
from benchmarks.true_motion import FROZEN, NAME, TrueMotionGenerator, driven_by
from engines.common.mouth_figures import Score
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width, neutral_shape
from realtime_dub.face.landmarks import OPENING
from realtime_dub.media import Image

pytestmark = pytest.mark.computes

CLIPS = [Path(f"{name}.mp4") for name in ("a_1", "a_2", "b_1", "b_2")]
PAIRS = [Pair(clip, clip, clip.stem[0]) for clip in CLIPS]


def test_rows_are_chosen_by_name() -> None:
    assert names("truth,dubbed,truth") == ["truth", "dubbed"]
    with pytest.raises(ArgumentTypeError, match=r"no row 'best': choose of dubbed, truth, frozen, shuffled"):
        names("dubbed,best")


def test_only_the_first_row_is_swept() -> None:
    noisy = [Setup(look_ahead=at) for at in (0, 80)]
    assert jobs(["dubbed", "frozen"], noisy, 2) == [("dubbed", noisy[0]), ("dubbed", noisy[1]), ("frozen", noisy[0])]


def test_a_clip_alone_has_no_other_voice() -> None:
    assert [row for row, _ in jobs(ROWS, [Setup()], 1)] == ["dubbed", "truth", "frozen"]
    with pytest.raises(SystemExit, match="needs a second clip"):
        jobs(["shuffled"], [Setup()], 1)


def test_each_row_is_asked_for_what_it_stands_for() -> None:
    asked: list[tuple[str, str, str, str]] = []

    def measure(clip: Path, sound: Path, setup: Setup, speaker: str, heard: Path) -> Score:
        asked.append((clip.stem, sound.stem, setup.engine, heard.stem))
        return Score(clip.stem, speaker, np.zeros(3), np.zeros(3), {})

    found = measured(jobs(ROWS, [Setup()], len(PAIRS)), PAIRS, measure)
    assert [[each.name for each in row] for row in found] == [["a_1", "a_2", "b_1", "b_2"]] * 4
    assert asked[:4] == [
        ("a_1", "a_1", "mouthbank", "a_1"),
        ("a_1", "a_1", NAME, "a_1"),
        ("a_1", "a_1", FROZEN, "a_1"),
        ("a_1", "a_1", "mouthbank", "b_1"),  # still against its own mouth
    ]
    assert asked[-1] == ("b_2", "b_2", "mouthbank", "a_2")


def test_another_voice_is_heard_and_the_own_mouth_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, heard = tmp_path / "a_1.mp4", []
    write_talker(clip, 1.0)

    def dub(self: Setup, picture: Path, sound: Path, seen: Look) -> list[Image]:
        heard.append(sound)
        return seen.images

    monkeypatch.setattr(Setup, "dub", dub)
    found = score(clip, clip, Setup(), "a", tmp_path / "b_1.mp4")
    assert heard == [tmp_path / "b_1.mp4"]
    assert found.figures["r_at_0"] == found.figures["r_width"] == pytest.approx(1)
    assert found.figures["dubbed_share"] == found.figures["distance"] == 0


def test_a_frozen_mouth_is_the_mean_shape_and_the_truth_moves() -> None:
    opened = 0.1 + 0.1 * np.sin(np.arange(40))
    shapes = np.repeat(TEMPLATE[None], 40, 0)
    shapes[:, OPENING[:, 1], 1] += opened[:, None].astype(np.float32)
    shapes[7] = np.nan
    known = np.delete(shapes, 7, 0)
    neutral = neutral_shape(known)
    with driven_by(shapes, np.arange(40), FROZEN):
        frozen = TrueMotionGenerator.motions
    mean = (known.mean(0)[LOWER] - neutral[LOWER]) / mouth_width(neutral)
    np.testing.assert_allclose(frozen, np.broadcast_to(mean, frozen.shape), atol=1e-5)
    with driven_by(shapes, np.arange(40), NAME):
        moving = TrueMotionGenerator.motions
    assert np.ptp(moving, 0).max() == pytest.approx(np.ptp(opened) / mouth_width(neutral), rel=0.05)


def test_clips_of_each_speaker_are_chosen_evenly(tmp_path: Path) -> None:
    clips = [tmp_path / f"{name}_{k}.mp4" for name, count in (("a", 9), ("b", 1), ("c", 4)) for k in range(count)]
    assert [clip.stem for clip in evenly(clips, tmp_path, 3)] == ["a_0", "a_4", "a_8", "b_0", "c_0", "c_1", "c_3"]
    assert [clip.stem for clip in evenly(clips, tmp_path, 1)] == ["a_0", "b_0", "c_0"]
