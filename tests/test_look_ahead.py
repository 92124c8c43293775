"""A sound at t moves the mouth at t, whatever look-ahead is chosen, through the stream and through a file."""

from __future__ import annotations

import csv
import wave
from pathlib import Path

import numpy as np
import pytest

from realtime_dub.config import FileConfig, LiveConfig, build
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.pipeline.assembly import make_generator
from realtime_dub.pipeline.file.run import run_file
from tests.test_motion import RATE, hear_all, opening_change, trace, vowel

pytestmark = pytest.mark.computes

LOOK_AHEADS = (0, 40, 80, 160)
FRAME_S = 0.04 + 1e-6
ONSETS_S = (0.6, 1.25, 1.7)
LONG_S = 0.2


def knocks() -> np.ndarray:
    """Three short vowels in 2.4 s of silence."""
    sound = np.zeros(int(2.4 * RATE), np.float32)
    for onset in ONSETS_S:
        start = int(onset * RATE)
        sound[start : start + int(LONG_S * RATE)] = vowel(LONG_S)
    return sound


def lag_s(opened: np.ndarray, rate: float) -> float:
    """How much later than its sound the mouth is open: where the two agree best."""
    times = np.arange(len(opened)) / rate
    lags = np.arange(-0.2, 0.2001, 0.01)
    scores = []
    for lag in lags:
        heard = np.zeros(len(opened))
        for onset in ONSETS_S:
            heard += np.clip(1 - np.abs(times - lag - onset - LONG_S / 2) / (0.75 * LONG_S), 0, 1)
        scores.append(np.corrcoef(heard, opened)[0, 1])
    assert max(scores) > 0.6  # the sounds are no speech, and each net takes them in its own way
    return float(lags[int(np.argmax(scores))])


@pytest.mark.parametrize("ms", LOOK_AHEADS)
def test_the_mouth_opens_with_its_sound(ms: int) -> None:
    bundle = load_default("mouthbank", ms)
    assert bundle.spec.look_ahead_ms == ms
    moved, _ = trace(hear_all(knocks(), 640, bundle), 2.1)
    assert abs(lag_s(opening_change(moved), 100)) <= FRAME_S


@pytest.mark.parametrize("ms", LOOK_AHEADS)
def test_the_mouth_opens_with_its_sound_through_a_file(ms: int, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "voice.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((knocks() * 32767).astype("<i2").tobytes())
    table = tmp_path / "mouth.csv"
    config = build(FileConfig, input="demo", mic=str(tmp_path / "voice.wav"), output=table, look_ahead=ms, quiet=True)
    run_file(config)
    with table.open(newline="") as stream:
        opened = np.array([float(row["jawOpen"]) - float(row["mouthClose"]) for row in csv.DictReader(stream)])
    assert abs(lag_s(opened, 25)) <= 1.5 * FRAME_S + 1e-6  # of speech nets lag by nothing; these are no speech


def test_a_file_waits_as_long_as_it_can_and_a_live_mouth_does_not() -> None:
    output = Path("out.mp4")
    waits_ms = {
        160: FileConfig(input="demo", output=output),
        40: FileConfig(input="demo", output=output, look_ahead=40),
    }
    waits_ms |= {80: LiveConfig(), 0: FileConfig(input="demo", output=output, engine="passthrough")}
    for ms, config in waits_ms.items():
        generator = make_generator(config)
        assert generator.latency().look_ahead_ns == ms * MS
        generator.close()


def test_a_look_ahead_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(BundleError, match=r"30 ms.*0, 40, 80, 160"):
        MouthbankGenerator(look_ahead_ms=30)
    with pytest.raises(ConfigError, match="not both"):
        MouthbankGenerator(Path("elsewhere"), look_ahead_ms=80)
