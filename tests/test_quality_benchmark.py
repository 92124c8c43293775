"""What benchmarks/quality.py makes of clips, before anything is dubbed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import chosen, next_of_speaker
from benchmarks.rendered import spoken_frames
from benchmarks.spoilt import Spoilt, pink
from engines.common.people import speaker_of

pytestmark = pytest.mark.computes


def test_any_folder_of_videos_is_taken(tmp_path: Path) -> None:
    for name in ("b/two.mp4", "a_1.mov", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    clips = chosen(tmp_path, "test", None)
    assert [clip.name for clip in clips] == ["a_1.mov", "two.mp4"]
    assert [speaker_of(clip, tmp_path) for clip in clips] == ["a", "b"]
    with pytest.raises(SystemExit, match="no videos"):
        chosen(tmp_path / "b" / "nothing", "test", None)


def test_of_s1_only_clips_kept_out_of_training_are_taken(tmp_path: Path) -> None:
    (tmp_path / "s1").mkdir()
    for k in range(60):
        (tmp_path / "s1" / f"c{k:02}.mp4").touch()
    assert [clip.stem for clip in chosen(tmp_path, "test", None)] == ["c00", "c20", "c40"]
    assert [clip.stem for clip in chosen(tmp_path, "validation", 2)] == ["c10", "c30"]


def test_voices_are_exchanged_within_a_speaker(tmp_path: Path) -> None:
    clips = [tmp_path / name for name in ("a_1.mp4", "a_2.mp4", "b_1.mp4", "a_3.mp4")]
    assert [clip.stem for clip in next_of_speaker(clips, tmp_path)] == ["a_2", "a_3", "b_1", "a_1"]


def test_speech_is_from_the_first_loud_frame_to_the_last() -> None:
    quiet = np.array([True, True, False, True, True, False, True])
    assert spoken_frames(quiet).tolist() == [False, False, True, True, True, True, False]
    assert not spoken_frames(np.ones(4, bool)).any()


def test_noise_has_the_level_asked_for() -> None:
    sound = np.sin(np.arange(16_000) * 0.3).astype(np.float32)
    noise = Spoilt(noise_db=10)(sound) - sound
    assert 20 * np.log10(sound.std() / noise.std()) == pytest.approx(10, abs=0.1)
    other = Spoilt(noise_db=10)(-sound) + sound
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.2  # each sound its own noise ...
    np.testing.assert_array_equal(Spoilt(noise_db=10)(sound) - sound, noise)  # ... and always the same
    spectrum = np.abs(np.fft.rfft(pink(16_000, np.random.default_rng(0)))) ** 2
    assert spectrum[200:400].mean() == pytest.approx(2 * spectrum[400:800].mean(), rel=0.25)
