"""A sound at t moves the mouth at t through a real microphone too: PortAudio on a private PulseAudio, every look-ahead.

Short vowels play on the sink `stage`. What it plays is recorded with the machine's time; the microphone hears the same,
on the machine's time as the program makes it out. So the mouth's openings and the recorded sound can be laid upon each
other, whatever buffers lie between.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pulse import PrivatePulse

from tests.pulse_sinks import RATE, SETTLE_S, Player, Recording
from tests.test_look_ahead import FRAME_S, LONG_S, LOOK_AHEADS, ONSETS_S
from tests.test_motion import vowel

PERIOD_S = 2.4
LISTEN_S = 10.0
PROGRAM = Path(__file__).with_name("pulse_mouth.py")


def knocks() -> np.ndarray:
    """Short vowels and the pauses between them (n, 2)."""
    sound = np.zeros((int(PERIOD_S * RATE), 2), np.float32)
    said = np.repeat(vowel(LONG_S), RATE // 16_000)[:, None]
    for onset in ONSETS_S:
        sound[int(onset * RATE) :][: len(said)] = said
    return sound


def mouths(pulse: PrivatePulse) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each look-ahead the machine's times in seconds, and how far the mouth is open."""
    program = subprocess.run(
        [sys.executable, str(PROGRAM), str(LISTEN_S), *map(str, LOOK_AHEADS)],
        env={**pulse.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    return [(np.array(times), np.array(opened)) for times, opened in json.loads(program.stdout.splitlines()[-1])]


def loudness(sound: np.ndarray, start_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) and the level there, 100 a second, smoothed over a vowel's length."""
    step = RATE // 100
    levels = np.abs(sound[: len(sound) // step * step]).reshape(-1, step).mean(1)
    window = np.hanning(25)
    return start_s + (np.arange(len(levels)) + 0.5) / 100, np.convolve(levels, window / window.sum(), "same")


def lag_s(heard: tuple[np.ndarray, np.ndarray], seen: tuple[np.ndarray, np.ndarray]) -> float:
    """How much later than its sound the mouth is open: where the two agree best."""
    times, opened = (each[seen[0] > seen[0][0] + SETTLE_S] for each in seen)
    lags = np.arange(-0.2, 0.2001, 0.01)
    scores = [np.corrcoef(np.interp(times - lag, *heard), opened)[0, 1] for lag in lags]
    assert max(scores) > 0.7
    return float(lags[int(np.argmax(scores))])


@pytest.mark.slow
def test_the_mouth_opens_with_its_sound_through_a_microphone(pulse: PrivatePulse) -> None:
    player = Player(pulse.play("stage"), knocks())
    stage = Recording(pulse.record("stage"))
    try:
        seen = mouths(pulse)
    finally:
        heard = loudness(*stage.finish())
        player.finish()
    lags = {ms: lag_s(heard, each) for ms, each in zip(LOOK_AHEADS, seen, strict=True)}
    print(lags)
    assert all(abs(lag) <= FRAME_S for lag in lags.values())
