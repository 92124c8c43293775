"""A sound at t moves the mouth at t through a real microphone too: PortAudio on a private PulseAudio, every look-ahead.

Speech plays on the sink `stage`. What it plays is recorded with the machine's time; the microphone hears the same,
on the machine's time as the program makes it out. So the mouth that each of the two makes can be laid upon the other,
whatever buffers lie between. (That a mouth opens with its sound at all, tests/test_look_ahead.py tells.)
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

from realtime_dub.flow import AudioRing
from realtime_dub.media import NS, AudioBlock, Floats
from realtime_dub.sources.demo_voice import DemoVoiceSource
from tests.pulse_mouth import openings
from tests.pulse_sinks import RATE, SETTLE_S, Player, Recording
from tests.test_look_ahead import FRAME_S, LOOK_AHEADS
from tests.test_voice_file import read_all, whole

LISTEN_S = 10.0
ALIKE = 0.8  # two nets that hear the same speech from instants a few milliseconds apart have r above 0.95
PROGRAM = Path(__file__).with_name("pulse_mouth.py")

Mouth = tuple[Floats, Floats]  # times in seconds, how far it is open


def speech() -> Floats:
    """The built-in voice (n, 2)."""
    source = DemoVoiceSource()
    source.open()
    samples = whole(read_all(source))[:, :1]
    source.close()
    return samples.repeat(2, axis=1)


def mouths(pulse: PrivatePulse) -> list[Mouth]:
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


def of_the_stage(stage: Recording, seen: Mouth, look_ahead_ms: int) -> Mouth:
    """The mouth that the recorded sound makes, by the same net, from the same instant to the same."""
    sound, start_s = stage.so_far()
    ring = AudioRing(RATE, 1, round(len(sound) / RATE * NS) + NS)
    ring.write(AudioBlock(sound[:, None], RATE, round(start_s * NS)))
    times, opened = openings(ring, round(seen[0][0] * NS), round(seen[0][-1] * NS), look_ahead_ms)
    return np.array(times), np.array(opened)


def lag_s(played: Mouth, seen: Mouth) -> float:
    """How much later than the sound on the stage the microphone's mouth opens: where the two agree best."""
    times, opened = (each[seen[0] > seen[0][0] + SETTLE_S] for each in seen)
    lags = np.arange(-0.2, 0.2001, 0.01)
    scores = [np.corrcoef(np.interp(times - lag, *played), opened)[0, 1] for lag in lags]
    assert max(scores) > ALIKE
    return float(lags[int(np.argmax(scores))])


@pytest.mark.slow
def test_the_mouth_opens_with_its_sound_through_a_microphone(pulse: PrivatePulse) -> None:
    player = Player(pulse.play("stage"), speech())
    stage = Recording(pulse.record("stage"))
    try:
        seen = mouths(pulse)
    finally:
        stage.finish()
        player.finish()
    lags = [lag_s(of_the_stage(stage, each, ms), each) for ms, each in zip(LOOK_AHEADS, seen, strict=True)]
    assert all(abs(lag) <= FRAME_S for lag in lags), lags
