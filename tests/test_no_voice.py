"""What the mouth does with sound in which a voice is hidden, and what is said of sound that has none."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sound_files import read_all, wav

from realtime_dub.config import FileConfig, build
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.sources.demo_voice import DemoVoiceSource

pytestmark = pytest.mark.computes

HISS = np.random.default_rng(3).standard_normal((16_000, 1)) * 1e-3
NO_VOICES = {
    "silent": (np.zeros((16_000, 1)), "is silent all through"),
    "hissing": (HISS, "nothing in it is clear enough to be speech"),
    "not numbers": (np.full((16_000, 1), np.nan), "is silent all through"),
}


def notes_of(tmp_path: Path, mic: str, engine: str = "mouthbank") -> list[str]:
    size = {"width": 320, "height": 240, "fps": 10}
    report = run_file(
        build(FileConfig, input="demo", output=tmp_path / "o.mkv", mic=mic, seconds=1, engine=engine, **size)
    )
    return [note for note in report.notes if "voice" in note]


@pytest.mark.parametrize(("samples", "words"), NO_VOICES.values(), ids=list(NO_VOICES))
def test_a_file_without_a_voice(tmp_path: Path, samples: np.ndarray, words: str) -> None:
    (tmp_path / "talk.wav").write_bytes(wav(samples.astype("<f4"), 16_000))
    [note] = notes_of(tmp_path, str(tmp_path / "talk.wav"))
    assert note.startswith("no voice was heard in talk.wav: ")
    assert words in note


def test_of_a_voice_and_of_an_engine_that_does_not_listen_nothing_is_said(tmp_path: Path) -> None:
    assert notes_of(tmp_path, "demo") == []
    (tmp_path / "talk.wav").write_bytes(wav(HISS.astype("<f4"), 16_000))
    assert notes_of(tmp_path, str(tmp_path / "talk.wav"), "passthrough") == []


def test_the_mouth_follows_a_voice_that_two_channels_carry_with_opposite_signs(tmp_path: Path) -> None:
    source = DemoVoiceSource()
    source.open()
    voice = np.concatenate([block.samples for block in read_all(source)])[48_000:96_000]
    source.close()
    jaws = []
    for name, samples in (("one", voice), ("two", np.concatenate([voice, -voice], axis=1))):
        (tmp_path / f"{name}.wav").write_bytes(wav(samples.astype("<f4"), 48_000))
        mic, output = str(tmp_path / f"{name}.wav"), tmp_path / f"{name}.csv"
        run_file(build(FileConfig, input="demo", output=output, mic=mic, width=320, height=240, fps=10))
        with output.open() as file:
            jaws.append([float(row["jawOpen"]) for row in csv.DictReader(file)])
    assert max(jaws[0]) > 0.02
    np.testing.assert_allclose(jaws[1], jaws[0], atol=0.01)
